package userlist

import (
	"strings"
	"testing"
)

const (
	platform = `{"outputs_version": 1, "passwords": {"tenant_acme": "acme-password", "app_service_role": "app-password"}}`
	cell     = `{"passwords": {"tenant_zeta_b": "b-password", "tenant_zeta_a": "a-password"}}`
)

// The verifiers were made once with internal/scram. A change of them would end every login through a pooler.
const want = `"app_service_role" "SCRAM-SHA-256$4096:ntYtmmoM/PTNYJ/D22aWYQ==$Ay1t1cNq7iWQ3vxk/veYvxOqqc7PsS2gblmr6s6bZno=:En8d3zEIZgeW8Br4BBCSKDrc2lX75jj4hUcVWvsDGMQ="
"tenant_acme" "SCRAM-SHA-256$4096:G6FuwZeOHCjDLHjE3OC7+Q==$xkst27a/zWQ/i8ghRQlwLVHpp5p1amLeeQ2O4tuICsM=:ujJBdBNYAvL2RrjQCOTvcFj5DNYOEflvGhSpEiwD/sc="
"tenant_zeta_a" "SCRAM-SHA-256$4096:pp39VrmuXNXnNGaNDxQpkw==$IbAbxB76Cru1BPYvKvPYx2qM9R/w5x0qqE63gHvRApQ=:8s2QjaUVI8m0NLePSBi2tgIRl1URy4yWhQL4GOtUZiw="
"tenant_zeta_b" "SCRAM-SHA-256$4096:7vdBlji1I19sEkz68Ol9+Q==$+jozTX1bdo9EnEnrUxmuFhIialG679tl4Xk/CDmsJ20=:0PWYJYUumH2SQ60c0pt8U4hzRzN2VMuWmu/Trb4sjTI="
`

func TestMake(t *testing.T) {
	got, err := Make([]Stack{{"platform.json", []byte(platform)}, {"cell.json", []byte(cell)}}, nil)
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s", err, got)
	}
	if got, err := Make([]Stack{{"cell.json", []byte(`{"passwords": {}}`)}}, nil); err != nil || len(got) != 0 {
		t.Errorf("a cell without tenants: got %v\n%s", err, got)
	}
}

func TestRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		outputs []string
		want    string
	}{
		"masked":              {[]string{`{"passwords": "[secret]"}`}, "0.json: the passwords are masked; run pulumi stack output --json with --show-secrets"},
		"one masked":          {[]string{`{"passwords": {"tenant_acme": "[secret]"}}`}, `0.json: the password of the login "tenant_acme" is masked`},
		"missing":             {[]string{`{"database_name": "platform"}`}, "0.json: the outputs have no passwords; deploy the stack, and give what"},
		"empty":               {[]string{`{"passwords": {"tenant_acme": ""}}`}, `the password of the login "tenant_acme" is empty`},
		"no object":           {[]string{`{"passwords": ["hidden"]}`}, "passwords is not an object of passwords by login name"},
		"nothing":             {[]string{`{"passwords": null}`}, "passwords is not an object of passwords by login name"},
		"no text":             {[]string{`{"passwords": {"tenant_acme": 123456}}`}, "passwords is not an object of passwords by login name"},
		"no outputs":          {[]string{`hidden`}, "0.json: these are not the outputs of a stack"},
		"no file":             {[]string{``}, "0.json: these are not the outputs of a stack"},
		"another version":     {[]string{`{"outputs_version": 2, "passwords": {"tenant_acme": "hidden"}}`}, "outputs_version is not 1"},
		"a name of two lines": {[]string{`{"passwords": {"tenant\nacme": "hidden"}}`}, "a login name that PgBouncer cannot read"},
		"one stack twice":     {[]string{platform, platform}, `1.json: the login "tenant_acme" is in 0.json too; give each stack once`},
		"every problem":       {[]string{`{}`, `{"passwords": "[secret]"}`}, "1.json: the passwords are masked"},
	} {
		t.Run(name, func(t *testing.T) {
			var stacks []Stack
			for i, outputs := range test.outputs {
				stacks = append(stacks, Stack{string(rune('0'+i)) + ".json", []byte(outputs)})
			}
			_, err := Make(stacks, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v", err)
			}
			for _, secret := range []string{"hidden", "123456", "acme-password", "app-password"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error has a password: %v", err)
				}
			}
		})
	}
}

// PgBouncer would accept an empty password for a login that disappears from its userlist.
func TestLoginsThatAreGoneStayLocked(t *testing.T) {
	stacks := []Stack{{"platform.json", []byte(platform)}, {"cell.json", []byte(cell)}}
	before := want + `"tenant_gone" "SCRAM-SHA-256$4096:c2FsdA==$stored:server"
"odd""name" "x"
; "comment" "x"
`
	const gone = `"odd""name" "` + locked + "\"\n"
	once, err := Make(stacks, []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(once), "\n") != 6 || strings.Count(string(once), locked) != 2 || !strings.Contains(string(once), `"tenant_gone" "`+locked+`"`) || !strings.Contains(string(once), gone) {
		t.Errorf("got\n%s", once)
	}
	for line := range strings.Lines(want) {
		if !strings.Contains(string(once), line) {
			t.Errorf("missing: %s", line)
		}
	}
	if again, err := Make(stacks, once); err != nil || string(again) != string(once) {
		t.Errorf("a second time: got %v\n%s", err, again)
	}
	if back, err := Make(stacks, []byte(`"tenant_acme" "`+locked+`"`)); err != nil || string(back) != want {
		t.Errorf("a login that came back: got %v\n%s", err, back)
	}
}

func TestQuote(t *testing.T) {
	if got := quote(`a"b`); got != `"a""b"` {
		t.Errorf("got %s", got)
	}
}

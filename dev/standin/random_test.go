package standin

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/bcrypt"
)

func TestRandomPassword(t *testing.T) {
	p := plug(t, newRandom())
	inputs := values{"length": 32, "special": false, "keepers": values{"version": "1"}}
	password := p.create(passwordType, inputs)
	if password.id != "none" {
		t.Errorf("ID %q: it stands in plain in the state", password.id)
	}
	result := secretText(t, password.get("result"))
	if len(result) != 32 || strings.Trim(result, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		t.Errorf("%d characters, want 32 letters and digits", len(result))
	}
	check(t, bcrypt.CompareHashAndPassword([]byte(secretText(t, password.get("bcryptHash"))), []byte(result)))

	password.refresh()
	password.wantDiff(inputs, nil)
	if secretText(t, password.get("result")) != result {
		t.Error("a refresh changed the password")
	}
	if again := secretText(t, p.create(passwordType, inputs).get("result")); again == result {
		t.Error("two passwords are the same")
	}
	password.delete()
}

func secretText(t *testing.T, v resource.PropertyValue) string {
	t.Helper()
	if !v.IsSecret() {
		t.Fatal("an output is not secret")
	}
	return v.SecretValue().Element.StringValue()
}

func TestRandomPasswordIsReplacedByAnyChange(t *testing.T) {
	password := plug(t, newRandom()).create(passwordType, values{"length": 8, "keepers": values{"a": "1"}})
	for change, inputs := range map[string]values{
		"length":  {"length": 9, "keepers": values{"a": "1"}},
		"special": {"length": 8, "special": false, "keepers": values{"a": "1"}},
		"keepers": {"length": 8, "keepers": values{"a": "1", "b": ""}},
	} {
		if diff := password.diff(inputs); len(diff.GetReplaces()) != 1 || diff.GetReplaces()[0] != change || diff.GetDeleteBeforeReplace() {
			t.Errorf("%s: got %v, want a replacement that is created first", change, diff)
		}
	}
	password.wantDiff(values{"length": 8, "keepers": values{"a": unknown()}}, nil, "keepers")
}

func TestRandomPasswordCharacters(t *testing.T) {
	p := plug(t, newRandom())
	only := values{"length": 2000, "lower": false, "upper": false, "numeric": false, "special": false}
	_, err := p.try(passwordType, only)
	wantError(t, err, "at least one kind of characters")
	only["numeric"] = true
	result := secretText(t, p.create(passwordType, only).get("result"))
	for _, digit := range "0123456789" {
		// 200 on average; fewer than 100 happens once in 10^15 if all are as likely.
		if n := strings.Count(result, string(digit)); n < 100 {
			t.Errorf("%c is there %d times", digit, n)
		}
	}
}

func TestRandomPasswordPreview(t *testing.T) {
	planned := plug(t, newRandom()).previewCreate(passwordType, values{"length": 8})
	if !planned["result"].ContainsUnknowns() || !planned["bcryptHash"].ContainsUnknowns() {
		t.Errorf("previewed %v", planned)
	}
}

package tests

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outside marks what takes something that a test does not have.
const outside = "outside: "

// ranBy says which test runs a command of the docs, with the same flags, or what outside of this
// machine it takes. Commands are told by how they begin; the longest beginning counts.
var ranBy = map[string]string{
	"find <backend>/.pulumi -name '*.attrs' -size 0 -delete": "TestBreaks",
	"go -C tests test":                                                                      outside + "it is what runs the tests",
	"go -C tools run ./cmd/tenantctl":                                                       "TestExitCodes", // which runs the commands
	"go -C tools run ./cmd/tenantctl audit":                                                 "TestWorkflows",
	"go -C tools run ./cmd/tenantctl cells check":                                           "TestCheck",
	"go -C tools run ./cmd/tenantctl cells manifests":                                       "TestManifestsSample",
	"go -C tools run ./cmd/tenantctl cells split":                                           "TestSplit",
	"go -C tools run ./cmd/tenantctl sessions":                                              "TestLoginInWrongHands",
	"go -C tools run ./cmd/tenantctl settings":                                              "TestSettings",
	"pulumi stack output --json --show-secrets | go -C tools run ./cmd/tenantctl passwords": "TestModel",
	"go -C tools run ./cmd/tenantctl userlist":                                              "TestPooler",

	"go -C tools run ./cmd/tenantctl why": "TestAudit",
	"go mod tidy":                         outside + "it changes go.mod, if anything",
	"go test .":                           outside + "it is what runs the tests",
	"go test ./internal/...":              outside + "it is what runs the tests",
	"go test . -update":                   "TestDevStackGraph",  // without -update
	"go test ./internal/config -update":   "TestGeneratedFiles", // likewise
	"make audit":                          "TestQuickStart",
	"make bench":                          "TestBenchmark",
	"make bench-catalog":                  "TestCatalog",
	"make bench-databases":                "TestDatabases",
	"make down":                           "TestQuickStart",
	"make release":                        "TestNotes", // the rest takes minutes
	"make vulnerabilities":                outside + "the vulnerability database",
	"make lint":                           outside + "the linters, which take minutes to build",
	"make preview-all":                    "TestUpAll",
	"make psql":                           "TestQuickStart",
	"make test-dev":                       outside + "it is what runs the tests",
	"make test-matrix":                    outside + "it is what runs the tests",
	"make test-tools":                     outside + "it is what runs the tests",
	"make test-unit":                      outside + "it is what runs the tests",
	"make test-e2e":                       outside + "it is what runs the tests",
	"make test":                           outside + "it is what runs the tests",
	"make tool":                           "TestWorkflows", // by way of what it builds
	"make test-model":                     "TestModel",
	"make test-breaks":                    "TestBreaks",
	"make up":                             "TestQuickStart",
	"make up-all":                         "TestUpAll",
	"pg_dump":                             outside + "the client programs of the server's version",
	"psql":                                outside + "the client programs; the tests run the same SQL through a driver",
	"pulumi cancel":                       "TestBreaks",
	"pulumi config --json":                "TestSetup",
	"pulumi config --json --show-secrets": "TestWorkflows",
	"pulumi config set":                   "TestAccess", // by way of the automation API
	"pulumi config set --secret postgresql:password": outside + "it asks for the password",
	"pulumi config set postgresql:sslmode":           outside + "a server with TLS",
	"pulumi destroy":                                 "TestLifecycle",
	"pulumi import":                                  "TestAdopt",
	"pulumi new":                                     "TestPulumiNew",
	"pulumi preview":                                 "TestLifecycle",
	"pulumi preview --json":                          "TestWorkflows",
	"pulumi preview --refresh --expect-no-changes":   "TestDrift",
	"pulumi refresh":                                 "TestLifecycle",
	"pulumi refresh --clear-pending-creates":         "TestBreaks",
	"pulumi stack init":                              "TestUpAll",
	"pulumi stack output --json":                     "TestWorkflows",
	"pulumi stack output passwords --show-secrets":   "TestAccess", // likewise
	"pulumi state move":                              "TestCells",
	"pulumi up":                                      "TestLifecycle",
	"pulumi up --continue-on-error":                  "TestBreaks",
	"pulumi up --refresh":                            "TestDrift",
}

var (
	codeBlock  = regexp.MustCompile(`(?m)^(?: {4}| {7})(\S.*)$`)
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	isCommand  = regexp.MustCompile(`^(make|go|pulumi|psql|pg_dump|find|npm|docker|curl|git) `)
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	testName   = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testDefine = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// Each command of the docs is run by a test that exists, each link leads somewhere, and each test
// they name is there.
func TestDocs(t *testing.T) {
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	used := map[string]bool{}
	for _, doc := range append(docs, "../README.md", "../CONTRIBUTING.md", "../SECURITY.md") {
		text := read(t, doc)
		for _, name := range testName.FindAllString(text, -1) {
			if !tests[name] {
				t.Errorf("%s: no test is called %s", doc, name)
			}
		}
		for _, found := range slices.Concat(codeBlock.FindAllStringSubmatch(text, -1), codeSpan.FindAllStringSubmatch(text, -1)) {
			if !isCommand.MatchString(found[1]) {
				continue
			}
			beginning := longestPrefix(found[1])
			if beginning == "" {
				t.Errorf("%s: ranBy does not know %q", doc, found[1])
			}
			used[beginning] = true
		}
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			checkLink(t, doc, found[1])
		}
	}
	for beginning, by := range ranBy {
		if !used[beginning] {
			t.Errorf("no command in the docs begins with %q", beginning)
		}
		if !strings.HasPrefix(by, outside) && !tests[by] {
			t.Errorf("%s: no test is called %s", beginning, by)
		}
	}
}

func longestPrefix(command string) string {
	beginnings := slices.SortedFunc(maps.Keys(ranBy), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	i := slices.IndexFunc(beginnings, func(beginning string) bool {
		rest, ok := strings.CutPrefix(command, beginning)
		return ok && (rest == "" || strings.HasSuffix(beginning, " ") || rest[0] == ' ')
	})
	if i < 0 {
		return ""
	}
	return beginnings[i]
}

// checkLink fails for a link to a file or a heading that is not there. Other sites are not asked.
func checkLink(t *testing.T, doc, target string) {
	t.Helper()
	if strings.HasPrefix(target, "https://") {
		return
	}
	file, anchor, _ := strings.Cut(target, "#")
	path := doc
	if file != "" {
		path = filepath.Join(filepath.Dir(doc), file)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s: link to %s: %v", doc, target, err)
		return
	}
	if anchor == "" {
		return
	}
	for _, found := range heading.FindAllStringSubmatch(read(t, path), -1) {
		if anchorOf(found[1]) == anchor {
			return
		}
	}
	t.Errorf("%s: link to %s, which has no such heading", doc, target)
}

// anchorOf is what GitHub makes of a heading: lower case, hyphens for spaces, nothing else but
// letters, digits and hyphens.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_':
			return r
		default:
			return -1
		}
	}, strings.ToLower(heading))
}

// testNames are the tests of all modules.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"../*_test.go", "../*/*_test.go", "../*/*/*_test.go", "../*/*/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, found := range testDefine.FindAllStringSubmatch(read(t, file), -1) {
				names[found[1]] = true
			}
		}
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package page

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	_ "image/png" // screenshots
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

type record = map[string]any

// sample is a report of these tenants with so many tables each. If there are three or more, the first
// reaches the second's schema, and another role uses the third's.
func sample(keys []string, tables int) record {
	access := func(who, path string, expected bool, rights ...string) record {
		return record{"who": who, "rights": rights, "path": path, "expected": expected}
	}
	var principals, tenants, objects []record
	var lists [][]record
	kinds := map[string]string{
		"app_service_role": "app", "analyst": "reader", "admin_service_role": "admin", "admin_service_login": "admin",
		"all_tenants": "group", "all_tenants_admin": "group", "platform_owner": "deployer", "contractor": "other", "PUBLIC": "PUBLIC",
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		principals = append(principals, record{"name": name, "kind": kinds[name]})
	}
	connects := []record{
		access("admin_service_login", "member of admin_service_role", true, "connect"), access("all_tenants", "direct", true, "connect"),
		access("analyst", "member of app_service_role", true, "connect"), access("app_service_role", "direct", true, "connect"),
		access("platform_owner", "owner", true, "create", "own", "connect"),
	}
	objects = append(objects, record{"kind": "database", "name": "ai_platform", "owner": "platform_owner", "access": 0})
	lists = append(lists, nil)
	for i, key := range keys {
		role := "tenant_" + key
		principals = append(principals, record{"name": role, "kind": "tenant", "tenant": key})
		tenants = append(tenants, record{"key": key, "role": role, "login": role, "schema": role, "stack": "prod.json"})
		connects = append(connects, access(role, "member of all_tenants", true, "connect"))
		list := func(app, own, admin []string) []record {
			found := []record{
				access("admin_service_login", "member of admin_service_role, the owner", true, admin...), access("admin_service_role", "owner", true, admin...),
				access("all_tenants_admin", "SET ROLE "+role, true, own...), access("analyst", "member of app_service_role", true, app...),
				access("app_service_role", "direct", true, app...), access(role, "direct", true, own...),
			}
			if i == 1 && len(keys) > 2 {
				found = append(found, access("tenant_"+keys[0], "member of "+role, false, own...))
			}
			return found
		}
		lists = append(lists, list([]string{"use"}, []string{"use"}, []string{"create", "own", "use"}),
			list([]string{"read"}, []string{"read", "write"}, []string{"read", "write", "own"}))
		schema, table := len(lists)-2, len(lists)-1
		if i == 2 {
			lists[schema] = append(lists[schema], access("contractor", "direct", false, "use"))
		}
		objects = append(objects, record{"kind": "schema", "schema": role, "owner": "admin_service_role", "tenant": key, "access": schema})
		for j := range tables {
			name := "documents"
			if j > 0 {
				name = fmt.Sprint([]string{"embeddings", "messages", "prompts", "runs"}[j%4], "_", j)
			}
			objects = append(objects, record{"kind": "table", "schema": role, "name": name, "owner": "admin_service_role", "tenant": key, "access": table})
		}
	}
	lists[0] = connects
	violations := []record{}
	if len(keys) > 2 {
		violations = []record{
			{
				"rule": "other-role-reaches-tenant", "tenant": keys[2], "subject": "contractor", "object": "tenant_" + keys[2],
				"text": "contractor has USAGE on tenant_" + keys[2], "fix": "REVOKE USAGE ON SCHEMA tenant_" + keys[2] + " FROM contractor",
			},
			{
				"rule": "tenant-reaches-tenant", "tenant": keys[0], "subject": "tenant_" + keys[0], "object": "tenant_" + keys[1],
				"text": "tenant_" + keys[0] + " is a member of tenant_" + keys[1], "fix": "REVOKE tenant_" + keys[1] + " FROM tenant_" + keys[0],
			},
		}
	}
	return record{
		"version": 1, "taken": "2026-11-23T09:30:00Z", "server": "18.4", "database": "ai_platform",
		"principals": principals, "tenants": tenants, "objects": objects, "accessLists": lists, "violations": violations,
		"notes": []record{{"rule": "deployer", "subject": "platform_owner", "text": "it owns the database, deploys the stacks and so can give itself anything"}},
	}
}

var fiveTenants = []string{"acme", "globex", "hooli", "initech", "umbrella"}

// browser is a page in headless Chromium. The test fails for every error that the browser reports, and
// for every request that is not for the file.
type browser struct {
	t   testing.TB
	ctx context.Context
}

func open(t testing.TB, report any) browser {
	t.Helper()
	file := filepath.Join(t.TempDir(), "audit.html")
	var html bytes.Buffer
	if err := Write(&html, report); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, html.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", html.Len())
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("this test opens the page in Chromium: install the package chromium, or Google Chrome")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.WindowSize(1400, 760))
	if os.Geteuid() == 0 { // whom Chromium gives no sandbox
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(event any) {
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw %s", event.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			t.Errorf("the page wrote to the console: %s", event.Type)
		case *log.EventEntryAdded: // such as what the content security policy refused
			t.Errorf("the browser logged: %s", event.Entry.Text)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(event.Request.URL, "file://"+file) {
				t.Errorf("the page asked for %s", event.Request.URL)
			}
		}
	})
	b := browser{t, ctx}
	b.do(log.Enable(), network.Enable(), chromedp.Navigate("file://"+file))
	b.until(`document.querySelector("#matrix tbody tr") !== null`)
	return b
}

func (b browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// run runs statements in the page.
func (b browser) run(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate("{"+script+"}", nil))
}

// until waits for an expression to become true.
func (b browser) until(expression string) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(20*time.Second))); errors.Is(err, chromedp.ErrPollingTimeout) {
		b.t.Fatalf("%s: got no true", expression)
	} else if err != nil {
		b.t.Fatal(err)
	}
}

func (b browser) searchFor(text string) {
	b.t.Helper()
	b.run(fmt.Sprintf(`const search = document.getElementById("search"); search.value = %q; search.dispatchEvent(new Event("input"))`, text))
}

// ask evaluates an expression in the page.
func ask[T any](b browser, expression string) (answer T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &answer))
	return answer
}

func expect[T comparable](b browser, expression string, want T) {
	b.t.Helper()
	if got := ask[T](b, expression); got != want {
		b.t.Errorf("%s: got %v, want %v", expression, got, want)
	}
}

const (
	tenantRows  = `document.querySelectorAll("tr.tenant").length`
	tenantNames = `[...document.querySelectorAll("tr.tenant th button")].map((b) => b.textContent).join()`
	objectRows  = `document.querySelectorAll("tr.object").length`
	verdict     = `document.getElementById("verdict").textContent`
	globex      = `document.querySelectorAll("tr.tenant")[1]`
)

func TestPage(t *testing.T) {
	report := sample(fiveTenants, 3)
	lists := report["accessLists"].([][]record)
	lists[9] = append(lists[9], record{"who": "all_tenants", "rights": []string{"use"}, "path": "direct", "expected": false})
	b := open(t, report)
	expect(b, "document.title", "2 violations: access audit of ai_platform")
	expect(b, verdict, "✗ 2 violations in 5 tenants and 21 objects")
	expect(b, `document.getElementById("subject").textContent`, "of ai_platform, PostgreSQL 18.4, 23 Nov 2026, 09:30 UTC")
	expect(b, tenantRows, 5)
	expect(b, `[...document.querySelectorAll("#findings tbody")].map((body) => [...body.querySelectorAll("th, td")].map((cell) => cell.textContent).join("|")).join("\n")`,
		"other-role-reaches-tenant 1|hooli|contractor|tenant_hooli|contractor has USAGE on tenant_hooliFix: REVOKE USAGE ON SCHEMA tenant_hooli FROM contractor\n"+
			"tenant-reaches-tenant 1|acme|tenant_acme|tenant_globex|tenant_acme is a member of tenant_globexFix: REVOKE tenant_globex FROM tenant_acme")
	expect(b, `document.getElementById("notes-list").textContent`, "deployer · platform_ownerit owns the database, deploys the stacks and so can give itself anything")

	t.Log("a row sums up, a cell says who and why, and hides it again")
	expect(b, `[...document.querySelectorAll("tr.database th, tr.database td")].map((cell) => cell.textContent).join("|")`, "ai_platform the database|x||x|x|x|cox|||")
	expect(b, `[...`+globex+`.cells].map((cell) => cell.textContent).join("|")`, "globex 3 objects|rwu||ru|ru|rwcou|||! rwu|")
	expect(b, `[...document.querySelectorAll("tr.tenant")[4].cells].map((cell) => cell.textContent).join("|")`, "umbrella 3 objects|rwu||ru|ru|rwcou||||! u")
	for _, want := range []string{"! tenant_acme: use on the schema (member of tenant_globex)! tenant_acme: read, write on 3 objects (member of tenant_globex)", ""} {
		b.run(globex + `.cells[8].querySelector("button").click()`)
		expect(b, `document.querySelector("tr.detail")?.textContent ?? ""`, want)
	}

	t.Log("a tenant opens by the keyboard, with the paths to its objects")
	b.run(globex + `.querySelector("th button").focus()`)
	b.do(chromedp.KeyEvent("\r"))
	expect(b, objectRows, 4)
	expect(b, `[...document.querySelectorAll("tr.object")].slice(0, 2).map((row) => row.textContent).join()`, "tenant_globex schemauuucou! u,documents tablerwrrrwo! rw")
	expect(b, `document.querySelectorAll("tr.object")[1].cells[8].querySelector("button").title`, "! tenant_acme: read, write (member of tenant_globex)")
	b.do(chromedp.KeyEvent("\r"))
	expect(b, objectRows, 0)

	t.Log("a search narrows, also by object and by role, and stands in the address")
	for search, want := range map[string]int{"HOOLI": 1, "documents": 5, "prompts_2": 5, "contractor": 1, "analyst": 5, "tenant_acme": 2, "globex acme": 1, "nothing": 0} {
		b.searchFor("")
		b.run(`document.getElementById("search").focus()`)
		b.do(chromedp.KeyEvent(search))
		expect(b, tenantRows, want)
	}
	b.searchFor("globex")
	b.until(`location.hash === "#search=globex"`)
	expect(b, `document.getElementById("shown").textContent`, "1 tenant of 5")
	b.do(chromedp.Reload())
	b.until(tenantRows + " === 1")
	expect(b, `document.getElementById("search").value`, "globex")

	t.Log("only what is not as designed")
	b.searchFor("")
	b.do(chromedp.Click("#only", chromedp.ByQuery))
	expect(b, "location.hash", "#only=1")
	expect(b, tenantNames, "acme,globex,hooli,umbrella")

	t.Log("a violation leads to its tenant, and the way back to the view before")
	b.do(chromedp.Click("#findings td:first-child a", chromedp.ByQuery))
	b.until(objectRows + " === 4")
	expect(b, tenantNames, "hooli")
	b.run("history.back()")
	b.until(tenantRows + " === 4")
	b.do(chromedp.Click(`#findings td:nth-child(3) a[href="#tenant=globex"]`, chromedp.ByQuery))
	b.until(tenantRows + " === 1")
	expect(b, tenantNames, "globex")
}

// Agents have a column of their own, and a tenant's own database is with the tenant.
func TestAgentsAndDatabases(t *testing.T) {
	list := func(who, right string, expected bool) []record {
		return []record{{"who": who, "rights": []string{right}, "path": "direct", "expected": expected}}
	}
	b := open(t, record{
		"version": 1, "taken": "2026-11-23T09:30:00Z", "server": "18.4", "database": "ai_platform",
		"principals": []record{{"name": "acme_chat", "kind": "agent", "tenant": "acme"}, {"name": "tenant_acme_agents", "kind": "agents", "tenant": "acme"}},
		"tenants": []record{
			{"key": "acme", "role": "tenant_acme", "login": "tenant_acme", "schema": "tenant_acme", "database": "acme_db", "agents": record{"chat": "acme_chat"}, "agentsRole": "tenant_acme_agents"},
			{"key": "globex", "role": "tenant_globex", "login": "tenant_globex", "schema": "tenant_globex"},
		},
		"objects": []record{
			{"kind": "database", "name": "ai_platform", "access": 0},
			{"kind": "schema", "schema": "tenant_acme", "tenant": "acme", "access": 0},
			{"kind": "schema", "schema": "tenant_globex", "tenant": "globex", "access": 3},
			{"kind": "database", "name": "acme_db", "tenant": "acme", "database": "acme_db", "access": 1},
			{"kind": "schema", "schema": "tenant_acme", "tenant": "acme", "database": "acme_db", "access": 2},
		},
		"accessLists": [][]record{{}, list("acme_chat", "connect", true), list("tenant_acme_agents", "use", true), list("acme_chat", "use", false)},
		"violations":  []record{{"rule": "tenant-reaches-tenant", "tenant": "acme", "subject": "acme_chat", "object": "x", "text": "it is open", "database": "acme_db"}},
		"notes":       []record{{"rule": "extension", "object": "cube", "text": "old", "database": "acme_db"}},
	})
	expect(b, `document.getElementById("subject").textContent`, "of ai_platform and 1 database of tenants, PostgreSQL 18.4, 23 Nov 2026, 09:30 UTC")
	expect(b, `document.querySelector("#findings td:last-child p").textContent`, "In the database acme_db: it is open")
	expect(b, `document.querySelector("dt").textContent`, "extension · acme_db · cube")
	expect(b, `document.querySelector("tr.database th").textContent`, "ai_platform the database")
	expect(b, `[...document.querySelector("tr.tenant").cells].map((cell) => cell.textContent).join("|")`, "acme 2 objects database acme_db ! 1 violation||ux|||||||")
	expect(b, `[...`+globex+`.cells].map((cell) => cell.textContent).join("|")`, "globex 0 objects||||||||! u|")
	b.run(`document.querySelector("tr.tenant th button").click()`)
	expect(b, `[...document.querySelectorAll("tr.object th")].map((head) => head.textContent).join()`, "tenant_acme schema,tenant_acme schema in ai_platform,acme_db database")
	b.searchFor("acme_chat")
	expect(b, tenantNames, "acme,globex")
	b.searchFor("acme_db")
	expect(b, tenantNames, "acme")
}

// Waived violations are in a list of their own. One whose waiver has ended says so.
func TestWaived(t *testing.T) {
	until := func(ended bool) record {
		return record{"reason": "a nightly job", "until": "2026-11-22", "ended": ended}
	}
	b := open(t, record{
		"version": 1, "taken": "2026-11-23T09:30:00Z", "server": "18.4", "database": "ai_platform", "objects": []record{{"kind": "database", "name": "ai_platform", "access": 0}},
		"accessLists": [][]record{{}}, "violations": []record{{"rule": "object-owner", "subject": "purger", "object": "x.f()", "text": "purger owns x.f()", "waiver": until(true)}},
		"waived": []record{{"rule": "object-owner", "subject": "purger", "object": "x.g()", "database": "acme_db", "text": "purger owns x.g()", "waiver": until(false)}},
	})
	expect(b, verdict, "✗ 1 violation and 1 waived in 0 tenants and 1 object")
	expect(b, `document.querySelector("#findings td:last-child").textContent`, "purger owns x.f()The waiver ended on 2026-11-22: a nightly job")
	expect(b, `document.getElementById("waived").hidden`, false)
	expect(b, `document.getElementById("waived-list").textContent`, "object-owner · purger · acme_db · x.g()purger owns x.g(). Waived until 2026-11-22: a nightly job")
}

func TestNothing(t *testing.T) {
	b := open(t, record{
		"version": 1, "taken": "2026-11-23T09:30:00Z", "server": "15.18", "database": "empty", "principals": nil, "tenants": nil, "accessLists": [][]record{{}},
		"objects": []record{{"kind": "database", "name": "empty", "access": 0}}, "violations": nil, "notes": nil,
	})
	expect(b, verdict, "✓ No violations in 0 tenants and 1 object")
	expect(b, `["violations", "waived", "notes"].every((id) => document.getElementById(id).hidden)`, true)
	expect(b, `document.getElementById("shown").textContent`, "0 tenants")
}

// A thousand tenants with twenty tables each, and violations of each: a part of the rows at first,
// all by a search, more on demand.
func TestThousandTenants(t *testing.T) {
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("t%04d", i))
	}
	report := sample(keys, 20)
	violations := report["violations"].([]record)
	for _, key := range keys {
		violations = append(violations, record{"rule": "md5-password", "tenant": key, "subject": "tenant_" + key, "text": "its password is stored as MD5"})
	}
	report["violations"] = violations
	b := open(t, report)
	t.Logf("%.0f ms until the first rows", ask[float64](b, `performance.getEntriesByType("navigation")[0].domInteractive`))
	expect(b, verdict, "✗ 1,002 violations in 1,000 tenants and 21,001 objects")
	expect(b, tenantRows, 100)
	b.searchFor("t0999")
	expect(b, tenantRows, 1)
	b.searchFor("")
	b.run(`scrollTo(0, document.documentElement.scrollHeight)`)
	b.until(tenantRows + " === 200")
	expect(b, `document.querySelectorAll("#findings tr.finding").length`, 22)
	b.do(chromedp.Click("#findings .rest button", chromedp.ByQuery))
	expect(b, `document.querySelectorAll("#findings tr.finding").length`, 1002)
	b.run(`dispatchEvent(new Event("beforeprint"))`)
	expect(b, tenantRows, 1000)
}

// Whatever a name is, it is text.
func TestHostileNames(t *testing.T) {
	names := []string{
		`</script><script>console.error(1)</script>`, `<img src=x onerror=console.error(2)>`, `<!--<script>`, "a\u2028'\"`${1}{{.}}", `__proto__`, `&lt;b&gt;`, `#tenant=&only=1%`,
	}
	var principals, tenants, objects, violations, waived, notes []record
	var lists [][]record
	for i, name := range names {
		principals = append(principals, record{"name": name, "kind": "tenant", "tenant": name})
		tenants = append(tenants, record{"key": name, "role": name, "login": name, "schema": name, "stack": name})
		objects = append(objects, record{"kind": "schema", "schema": name, "owner": name, "tenant": name, "access": i},
			record{"kind": "table", "schema": name, "name": name, "owner": name, "tenant": name, "access": i})
		lists = append(lists, []record{{"who": name, "rights": []string{"use"}, "path": name, "expected": false}})
		violations = append(violations, record{"rule": name, "tenant": name, "subject": name, "object": name, "text": name, "fix": name})
		waived = append(waived, record{"rule": name, "text": name, "waiver": record{"reason": name, "until": name}})
		notes = append(notes, record{"rule": name, "text": name})
	}
	b := open(t, record{
		"version": 1, "taken": "2026-11-23T09:30:00Z", "server": names[0], "database": names[0], "principals": principals, "tenants": tenants,
		"objects": objects, "accessLists": lists, "violations": violations, "waived": waived, "notes": notes,
	})
	expect(b, tenantRows, len(names))
	for i, name := range names {
		b.run(fmt.Sprintf(`document.querySelectorAll("#findings td:first-child a")[%d].click()`, i))
		b.until(fmt.Sprintf(`%s === 2 && document.getElementById("search").value === %q`, objectRows, name))
		b.run(`document.querySelector("tr.object td button").click()`)
		for selector, want := range map[string]string{
			"tr.tenant th button": name, "tr.object ~ tr.object th": name + " table", "tr.detail li": "! " + name + ": use (" + name + ")",
		} {
			expect(b, fmt.Sprintf(`document.querySelector(%q).textContent`, selector), want)
		}
		for selector, want := range map[string]string{
			"#findings th[scope=rowgroup]": name + " 1", "#findings td:nth-child(2)": name, "#findings p:first-child": name, "#findings code": name,
			"#waived-list dd": name + ". Waived until " + name + ": " + name, "#notes-list dt": name, "#notes-list dd": name,
		} {
			expect(b, fmt.Sprintf(`document.querySelectorAll(%q)[%d].textContent`, selector, i), want)
		}
		b.searchFor(name)
		expect(b, tenantNames, name)
	}
	expect(b, `document.querySelectorAll("img, main script").length`, 0)
}

// contrast is the least ratio of text to what is behind it, as WCAG 2.2 has it, over all that is shown.
const contrast = `(() => {
	const parse = (color) => color.match(/[\d.]+/g).map(Number);
	const luminance = (color) => parse(color).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (parse(c)[3] !== 0) return c; } return "rgb(255, 255, 255)"; };
	const texts = [...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
	return Math.min(...texts.map((e) => { const [a, b] = [luminance(getComputedStyle(e).color), luminance(behind(e))]; return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }));
})()`

var keep = flag.String("screenshot", "", "where to keep the picture that TestScreenshot makes")

// The page fits wide and narrow windows, and can be read in light and in dark ones.
func TestScreenshot(t *testing.T) {
	b := open(t, sample(fiveTenants, 3))
	b.run(globex + `.querySelector("th button").click(); ` + globex + `.cells[8].querySelector("button").click()`)
	for _, scheme := range []string{"dark", "light"} {
		for _, width := range []int{400, 1400} {
			b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}), chromedp.EmulateViewport(int64(width), 950))
			expect(b, `matchMedia("(prefers-color-scheme: dark)").matches`, scheme == "dark")
			expect(b, `document.documentElement.scrollWidth <= innerWidth`, true)
			if ratio := ask[float64](b, contrast); ratio < 4.5 {
				t.Errorf("%s, %d wide: got text with a contrast of %.2f, want 4.5", scheme, width, ratio)
			}
			var picture []byte
			b.do(chromedp.CaptureScreenshot(&picture))
			config, _, err := image.DecodeConfig(bytes.NewReader(picture))
			if err != nil || config.Width != width || len(picture) < 10_000 || len(picture) > 200_000 {
				t.Errorf("%s: got a picture of %d bytes, %d wide, %v; want 10,000 to 200,000, %d wide", scheme, len(picture), config.Width, err, width)
			}
			if *keep != "" && width == 1400 && scheme == "light" {
				if err := os.WriteFile(*keep, picture, 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tenant-permissions/internal/policy"
)

// toolCost is what one command of tenantctl takes.
type toolCost struct {
	// Seconds of wall clock, with what PostgreSQL does, and of processors in the tool itself.
	Seconds []float64 `json:"seconds"`
	CPU     []float64 `json:"cpu"`
	// PeakBytes is the largest resident size, 0 where that is not known.
	PeakBytes int64 `json:"peakBytes"`
}

// Commands of tenantctl that are measured.
const (
	toolAudit  = "audit"
	toolPage   = "audit --format html"
	toolWhy    = "why"
	toolSplit  = "cells split"
	toolCheck  = "cells check"
	toolReview = "review"
)

func toolNames() []string {
	return []string{toolAudit, toolPage, toolWhy, toolSplit, toolCheck, toolReview}
}

// toolReps is how often each command is measured.
const toolReps = 3

// compileTool compiles tenantctl in a folder and returns its path.
func compileTool(ctx context.Context, checkout, dir string, progress io.Writer) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", dir, "./cmd/tenantctl")
	cmd.Dir, cmd.Stderr = filepath.Join(checkout, "tools"), progress
	return filepath.Join(dir, "tenantctl"), cmd.Run()
}

// measureTools measures tenantctl with the tenants of the server, and with files for as many. The stacks
// are made up: no Pulumi runs.
func (c *crowd) measureTools(ctx context.Context, m *catalog) (err error) {
	dir, err := os.MkdirTemp("", "tenant-permissions-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, content := range map[string]func() ([]byte, error){
		"outputs.json": func() ([]byte, error) { return json.Marshal(c.outputs()) },
		"tenants.yaml": func() ([]byte, error) { return []byte(c.tenantsFile()), nil },
		"preview.json": c.preview,
		"Pulumi.yaml":  func() ([]byte, error) { return os.ReadFile(filepath.Join(c.checkout, "Pulumi.yaml")) },
		"Pulumi.prod.yaml": func() ([]byte, error) {
			return []byte("config:\n  postgresql:database: " + c.database + "\n  tenant-permissions:tenants: {}\n"), nil
		},
	} {
		content, err := content()
		if err != nil {
			return err
		}
		if err := writeFiles(dir, map[string]string{name: string(content)}); err != nil {
			return err
		}
	}
	cell := filepath.Join(dir, "Pulumi.prod-001.yaml")
	for range toolReps {
		for _, command := range []struct {
			name string
			args []string
		}{
			{toolAudit, []string{"audit", "--outputs", "outputs.json"}},
			{toolPage, []string{"audit", "--outputs", "outputs.json", "--format", "html"}},
			{toolWhy, []string{"why", "--outputs", "outputs.json", "tenant_" + tenantKey(0), "reads", "tenant_" + tenantKey(c.tenants-1) + "." + queried}},
			{toolSplit, []string{"cells", "split", "--platform", "prod", "--tenants", "tenants.yaml"}},
			{toolCheck, []string{"cells", "check", "--platform", "prod"}},
			{toolReview, []string{"review", "--preview", "preview.json"}},
		} {
			if err := c.tool(ctx, m, dir, command.name, command.args...); err != nil {
				return err
			}
		}
		if _, err := os.Stat(cell); err != nil {
			return fmt.Errorf("cells split wrote no cell: %w", err)
		}
		cells, err := filepath.Glob(filepath.Join(dir, "Pulumi.prod-*.yaml"))
		if err != nil {
			return err
		}
		for _, file := range cells { // so that the next split writes them again
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// tool measures a command in a folder.
func (c *crowd) tool(ctx context.Context, m *catalog, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, c.tenantctl, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PGHOST="+c.server.Host, "PGPORT="+strconv.Itoa(c.server.Port), "PGUSER="+c.server.User,
		"PGPASSWORD="+c.server.Password, "PGSSLMODE=disable", "PGDATABASE="+c.database)
	var failed bytes.Buffer
	cmd.Stderr = &failed // standard output is of no interest
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	peak := watchPeak(cmd.Process.Pid)
	err := cmd.Wait()
	resident := peak()
	if err != nil {
		return fmt.Errorf("tenantctl %s: %w\n%s", strings.Join(args, " "), err, failed.Bytes())
	}
	if m.Tools[name] == nil {
		m.Tools[name] = &toolCost{}
	}
	cost := m.Tools[name]
	cost.Seconds = append(cost.Seconds, time.Since(start).Seconds())
	cost.CPU = append(cost.CPU, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	cost.PeakBytes = max(cost.PeakBytes, resident)
	return nil
}

// peakPeriod is how often the peak of a tool's memory is read.
const peakPeriod = 5 * time.Millisecond

// watchPeak reads the largest resident size that a process has had, until it is asked for it, in bytes. It
// is 0 where there is no Linux /proc. The system's own figure of a process that has ended
// (ru_maxrss) is no use: it begins with the size of the process that started it.
func watchPeak(pid int) (peak func() int64) {
	return watch(peakPeriod, func() int64 { return statusBytes(pid, "VmHWM") })
}

// outputs are those of a stack with all tenants.
func (c *crowd) outputs() map[string]any {
	names := roleNames("")
	roles, databases := map[string]string{}, map[string]string{}
	for i := range c.tenants {
		roles[tenantKey(i)], databases[tenantKey(i)] = "tenant_"+tenantKey(i), c.database
	}
	return map[string]any{
		policy.OutputVersion: policy.OutputsVersion, policy.OutputDatabase: c.database,
		policy.OutputApp: names[policy.App], policy.OutputAdmin: names[policy.Admin], policy.OutputAdminLogin: names[policy.AdminLogin],
		policy.OutputAllTenants: names[policy.AllTenants], policy.OutputAllTenantsAdmin: names[policy.AllTenantsAdmin],
		policy.OutputRoles:       map[string]string{"app": names[policy.App], "admin": names[policy.Admin]},
		policy.OutputLogins:      map[string]string{"app": names[policy.App], "admin": names[policy.AdminLogin]},
		policy.OutputTenantRoles: roles, policy.OutputTenantLogins: roles, policy.OutputTenantSchemas: roles, policy.OutputTenantDatabases: databases,
	}
}

// tenantsFile is a file of all tenants for cells split.
func (c *crowd) tenantsFile() string {
	var text strings.Builder
	for i := range c.tenants {
		fmt.Fprintf(&text, "%s: {connectionLimit: 20}\n", tenantKey(i))
	}
	return text.String()
}

// preview is a preview that adds all tenants. It has, for each, the steps that a recorded preview has for
// one.
func (c *crowd) preview() ([]byte, error) {
	const recorded = "globex"
	content, err := os.ReadFile(filepath.Join(c.checkout, "tools/review/testdata/first.json"))
	if err != nil {
		return nil, err
	}
	var preview map[string]json.RawMessage
	var steps []json.RawMessage
	var config map[string]string
	if err := errors.Join(json.Unmarshal(content, &preview), json.Unmarshal(preview["steps"], &steps), json.Unmarshal(preview["config"], &config)); err != nil {
		return nil, err
	}
	tenants := map[string]any{}
	var all []json.RawMessage
	for i := range c.tenants {
		key := tenantKey(i)
		tenants[key] = map[string]any{"connectionLimit": 20, "executeFunctions": true}
		for _, step := range steps {
			if bytes.Contains(step, []byte("::"+recorded)) {
				all = append(all, bytes.ReplaceAll(step, []byte(recorded), []byte(key)))
			}
		}
	}
	if len(all) < 5*c.tenants {
		return nil, fmt.Errorf("the recorded preview has no steps of %s", recorded)
	}
	encoded, err := json.Marshal(tenants)
	if err != nil {
		return nil, err
	}
	config["tenant-permissions:tenants"] = string(encoded)
	return json.Marshal(map[string]any{"config": config, "steps": all, "diagnostics": preview["diagnostics"], "changeSummary": preview["changeSummary"]})
}

// writeTools writes what tenantctl takes, if it was measured.
func (r *results) writeTools(w io.Writer) {
	var measured *catalog
	for _, c := range r.Catalogs {
		if len(c.Tools) > 0 && (measured == nil || c.Tenants > measured.Tenants) {
			measured = c
		}
	}
	if measured == nil {
		return
	}
	fmt.Fprintf(w, "\n### tenantctl\n\nOn PostgreSQL %s. Elapsed is with what PostgreSQL does, processor is the tool's own. `cells split` makes cells of 50, "+
		"and `review` reads a preview that adds all tenants. Nothing was deployed: outputs, stack files and previews were made up.\n\n| |", measured.Environment.PostgreSQL)
	var columns []*catalog
	rule := "\n|---"
	for _, c := range catalogColumns(r.Catalogs) {
		// The largest and a tenth of it are enough.
		if len(c.Tools) > 0 && c.Environment == measured.Environment && (c.Tenants == measured.Tenants || 10*c.Tenants == measured.Tenants) {
			columns = append(columns, c)
			tenants := number(float64(c.Tenants))
			fmt.Fprintf(w, " %s tenants, elapsed | processor | memory |", tenants)
			rule += "|--:|--:|--:"
		}
	}
	fmt.Fprint(w, rule+"|\n")
	for _, name := range toolNames() {
		fmt.Fprintf(w, "| `%s` ", name)
		for _, c := range columns {
			cost := c.Tools[name]
			if cost == nil {
				cost = &toolCost{}
			}
			fmt.Fprintf(w, "| %s | %s | %s ", duration(median(cost.Seconds)), duration(median(cost.CPU)), size(cost.PeakBytes))
		}
		fmt.Fprintln(w, "|")
	}
	for _, c := range columns {
		if refresh := r.refreshed(c.Tenants); refresh > 0 && c.Tools[toolAudit] != nil {
			fmt.Fprintf(w, "\nThe audit of %s tenants takes %s. A preview with refresh of as many, in cells of %d, takes %s (measured with the table at the top).\n",
				number(float64(c.Tenants)), duration(median(c.Tools[toolAudit].Seconds)), pageCell, duration(refresh))
		}
	}
}

// refreshed is how long a preview with refresh of so many tenants in cells takes with the official plugins,
// 0 if it was not measured.
func (r *results) refreshed(tenants int) float64 {
	for _, env := range r.environments() {
		if m := r.of(env, layout{Kind: cells, CellSize: pageCell})[tenants]; m != nil && !env.StandIns {
			return m.median(stepRefresh)
		}
	}
	return 0
}

package supply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Database is Go's vulnerability database.
const Database = "https://vuln.go.dev"

// reachTimeout is how long the database may take to answer.
const reachTimeout = 20 * time.Second

// VulnerabilityOptions say what to check, and against what.
type VulnerabilityOptions struct {
	// Checkout is the folder of the program.
	Checkout string
	// Database is the URL of the database. A file:// URL is a copy on this machine.
	Database string
	// Required makes it an error if the database cannot be reached.
	Required bool
	// Out gets a line for each module, and what govulncheck says about those with findings.
	Out io.Writer
}

// CheckVulnerabilities runs govulncheck on every module of a checkout, with its tests. It fails if a
// module calls a function that is known to be vulnerable. Without the database it checks nothing, and
// says so.
func CheckVulnerabilities(ctx context.Context, o VulnerabilityOptions) error {
	if err := reach(ctx, o.Database); err != nil {
		if o.Required || ctx.Err() != nil {
			return fmt.Errorf("known vulnerabilities were not checked: %w", err)
		}
		_, err = fmt.Fprintf(o.Out, "WARNING: known vulnerabilities were not checked: %v\nThe project's CI checks them. With a copy of the database, set GOVULNDB=file:///path/of/the/copy.\n", err)
		return err
	}
	checkout, err := filepath.Abs(o.Checkout)
	if err != nil {
		return err
	}
	modules, err := findModules(checkout)
	if err != nil {
		return err
	}
	var errs []error
	for _, module := range modules {
		if err := module.checkVulnerabilities(ctx, checkout, o); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkVulnerabilities runs govulncheck on one module.
func (m goModule) checkVulnerabilities(ctx context.Context, checkout string, o VulnerabilityOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	args := []string{"-db", o.Database}
	if len(m.tools) > 0 {
		args = append(args, m.tools...)
	} else {
		args = append(args, "-test", "-tags", "breaks", "./...")
	}
	cmd := tool(ctx, checkout, "govulncheck", args...)
	cmd.Dir = filepath.Join(checkout, filepath.FromSlash(m.dir))
	out, err := cmd.CombinedOutput()
	if err == nil {
		_, err = fmt.Fprintf(o.Out, "no known vulnerabilities in the code of %s\n", m.dir)
		return err
	}
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", m.dir, err)
	}
	if _, err := fmt.Fprintf(o.Out, "%s:\n%s\n", m.dir, out); err != nil {
		return err
	}
	// go tool makes 1 of the 3 that govulncheck exits with if it has findings.
	if strings.Contains(string(out), "Vulnerability #") {
		return fmt.Errorf("%s reaches known vulnerabilities: upgrade the modules in %s/go.mod to the versions after \"Fixed in\", with go get and go mod tidy", m.dir, m.dir)
	}
	return fmt.Errorf("%s: govulncheck failed: %w", m.dir, err)
}

// reach asks the database for the file that every database has.
func reach(ctx context.Context, database string) error {
	if strings.HasPrefix(database, "file://") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(database, "/")+"/index/db.json", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	return nil
}

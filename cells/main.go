// Command cells spreads the tenants of a platform over stacks of their own, cells, which engines
// can deploy side by side: a stack's time grows faster than its number of tenants.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the command without its process.
func run(ctx context.Context, args []string, out io.Writer) error {
	const want = "want split, check or manifests, each with -help"
	if len(args) == 0 {
		return errors.New("got no verb, " + want)
	}
	var (
		reference platformReference
		flags     = flag.NewFlagSet(args[0], flag.ContinueOnError)
		// `go -C cells run .` runs this in the folder cells of the checkout.
		dir          = flags.String("checkout", "..", "folder of Pulumi.yaml and the stack files")
		platform     = flags.String("platform", "", "stack that has the shared roles (required)")
		organization = flags.String("organization", "", "organization in Pulumi Cloud (default: the one the cells name, or else organization, which is right for other backends)")
	)
	var verb func(*checkout) error
	switch args[0] {
	case "split":
		var s splitting
		flags.StringVar(&s.file, "tenants", "", "YAML file with all tenants by key, looked for in the checkout (required)")
		flags.IntVar(&s.size, "size", 50, "most tenants that a cell is filled up to")
		flags.StringVar(&s.prefix, "prefix", "", "what the cells' names begin with (default <platform>-)")
		verb = func(c *checkout) error {
			s.prefix = cmp.Or(s.prefix, *platform+"-")
			s.reference = reference
			return s.run(c, out)
		}
	case "check":
		program := flags.String("program", "", "the compiled program (default: compile it)")
		verb = func(c *checkout) error { return check(ctx, c, reference, *program, out) }
	case "manifests":
		var m manifests
		flags.StringVar(&m.repo, "repo", "", "URL of the git repository with this checkout (required)")
		flags.StringVar(&m.branch, "branch", "main", "branch to deploy")
		flags.StringVar(&m.namespace, "namespace", "default", "namespace of the manifests")
		flags.StringVar(&m.backend, "backend", "", "backend's URL (default: Pulumi Cloud)")
		flags.StringVar(&m.serviceAccount, "service-account", "pulumi", "service account of the pods that deploy")
		flags.StringVar(&m.secret, "secret", "tenant-permissions", "Secret that has the variables of -env under their names")
		env := flags.String("env", "PGPASSWORD,PULUMI_CONFIG_PASSPHRASE", "variables with the pods' secrets, with a comma between them")
		verb = func(c *checkout) error {
			m.reference = reference
			m.env = strings.FieldsFunc(*env, func(r rune) bool { return r == ',' })
			return m.run(c, out)
		}
	default:
		return fmt.Errorf("got the verb %q, %s", args[0], want)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	p := &problems{}
	if flags.NArg() > 0 {
		p.add("arguments", show(flags.Args()), "nothing behind the flags")
	}
	flags.VisitAll(func(f *flag.Flag) {
		if strings.HasSuffix(f.Usage, "(required)") && f.Value.String() == "" {
			p.add("-"+f.Name, "nothing", "the "+strings.TrimSuffix(f.Usage, " (required)"))
		}
	})
	if err := p.err(); err != nil {
		return err
	}
	c, err := loadCheckout(*dir)
	if err != nil {
		return err
	}
	if _, ok := c.stacks[*platform]; !ok {
		p.add("-platform", show(*platform), "a stack with a file Pulumi.<stack>.yaml")
		return p.err()
	}
	reference = c.reference(*organization, *platform)
	return verb(c)
}

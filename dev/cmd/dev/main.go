// Command dev is the local environment, the tests, the benchmark and releases; the Makefile calls it.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"tenant-permissions/dev/bench"
	"tenant-permissions/dev/devstack"
	"tenant-permissions/dev/suites"
	"tenant-permissions/dev/supply"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var checkout string
	root := &cobra.Command{
		Use:           "dev",
		Short:         "The local environment, the tests, the benchmark and releases",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	// The Makefile runs this in the folder dev of the checkout.
	root.PersistentFlags().StringVar(&checkout, "checkout", "..", "folder of the program")
	root.AddCommand(stackCommands(&checkout)...)
	root.AddCommand(testCommand(&checkout), benchCommand(&checkout), vulnerabilitiesCommand(&checkout), releaseCommand(&checkout))
	return root
}

// stackCommands are the commands of the dev stack.
func stackCommands(checkout *string) []*cobra.Command {
	var login devstack.Login
	on := func(do func(*devstack.Stack, *cobra.Command, []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			stack, err := devstack.New(*checkout)
			if err != nil {
				return err
			}
			return do(stack, cmd, args)
		}
	}
	up := &cobra.Command{
		Use: "up", Short: "Start PostgreSQL, deploy the dev stack, print how to connect as a tenant", Args: cobra.NoArgs,
		RunE: on(func(s *devstack.Stack, cmd *cobra.Command, _ []string) error { return s.Up(cmd.Context()) }),
	}
	preview := &cobra.Command{
		Use: "preview", Short: "Show what up would change", Args: cobra.NoArgs,
		RunE: on(func(s *devstack.Stack, cmd *cobra.Command, _ []string) error { return s.Preview(cmd.Context()) }),
	}
	down := &cobra.Command{
		Use: "down", Short: "Stop PostgreSQL and delete it with the dev stack", Args: cobra.NoArgs,
		RunE: on(func(s *devstack.Stack, _ *cobra.Command, _ []string) error { return s.Down() }),
	}
	audit := &cobra.Command{
		Use: "audit [-- arguments of the audit]", Short: "Show who can reach what on the dev stack's server",
		RunE: on(func(s *devstack.Stack, cmd *cobra.Command, args []string) error {
			return s.Audit(cmd.Context(), args...)
		}),
	}
	psql := &cobra.Command{
		Use: "psql [-- arguments of psql]", Short: "Connect as a tenant or a login",
		RunE: on(func(s *devstack.Stack, cmd *cobra.Command, args []string) error {
			return s.Psql(cmd.Context(), login, args...)
		}),
	}
	password := &cobra.Command{
		Use: "password", Short: "Print the password of a tenant or a login", Args: cobra.NoArgs,
		RunE: on(func(s *devstack.Stack, cmd *cobra.Command, _ []string) error {
			password, err := s.Password(cmd.Context(), login)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), password)
			}
			return err
		}),
	}
	for _, cmd := range []*cobra.Command{psql, password} {
		cmd.Flags().StringVar(&login.Tenant, "tenant", "", "key of the tenant")
		cmd.Flags().StringVar(&login.Name, "login", "", "name of the login")
	}
	return []*cobra.Command{up, preview, down, audit, psql, password}
}

func testCommand(checkout *string) *cobra.Command {
	o := suites.Options{}
	cmd := &cobra.Command{
		Use:   "test [suite...]",
		Short: "Install what the tests need and run them, all suites by default",
		Long:  "Install what the tests need and run them. The suites:\n\n" + suites.Describe(),
		RunE: func(cmd *cobra.Command, names []string) error {
			o.Checkout, o.Names, o.Out = *checkout, names, cmd.OutOrStdout()
			return suites.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Postgres, "postgres", os.Getenv("POSTGRES"), "major version of the server, 14 to 18; any by default")
	cmd.Flags().IntVar(&o.Jobs, "jobs", 0, "how many suites at once; one for each core by default")
	cmd.Flags().StringVar(&o.FuzzTime, "fuzz-time", "20s", "how long each fuzz target runs, or how many inputs, as in 1000x")
	return cmd
}

func benchCommand(checkout *string) *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure first runs, previews and changes, and write docs/benchmarks.*", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Checkout = *checkout
			return bench.Run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&o.Tenants, "tenants", []int{25, 100, 400}, "numbers of tenants")
	flags.StringSliceVar(&o.Layouts, "layouts", []string{"25", "50", "25" + bench.FirstLoadSuffix, "one"},
		"one for one stack, or sizes of cells, with "+bench.FirstLoadSuffix+" for a first up without checkpoints")
	flags.IntVar(&o.Repetitions, "repetitions", 1, "how often to measure; the table has the medians")
	flags.IntVar(&o.Parallel, "parallel", 8, "the CLI's --parallel")
	flags.IntVar(&o.Jobs, "jobs", runtime.NumCPU(), "how many cells at once")
	flags.BoolVar(&o.Lean, "lean", false, "measure what each choice costs for one cell of 25 tenants, and no layouts")
	flags.BoolVar(&o.OwnDatabases, "own-databases", false, "measure tenants with databases of their own, and no layouts")
	flags.IntVar(&o.Databases, "databases", 1000, "how many empty databases --own-databases makes besides")
	flags.BoolVar(&o.Catalog, "catalog", false, "measure what many tenants cost a server of the version POSTGRES, without Pulumi, and no layouts")
	flags.BoolVar(&o.Busy, "busy", false, "say on the page that other work ran on the machine while --own-databases or --catalog measured")
	flags.BoolVar(&o.Draw, "draw", false, "measure nothing, only write the table and the picture again")
	flags.StringVar(&o.Docs, "docs", "../docs", "folder of benchmarks.json, .md and .svg")
	return cmd
}

func vulnerabilitiesCommand(checkout *string) *cobra.Command {
	return &cobra.Command{
		Use:   "vulnerabilities",
		Short: "Check every module for known vulnerabilities",
		Long:  "Check every module for known vulnerabilities. GOVULNDB in the environment is the URL of the database. If it cannot be reached, the command fails on GitHub, and only says so elsewhere.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return supply.CheckVulnerabilities(cmd.Context(), supply.VulnerabilityOptions{
				Checkout: *checkout,
				Database: cmp.Or(os.Getenv("GOVULNDB"), supply.Database),
				Required: os.Getenv("GITHUB_ACTIONS") == "true",
				Out:      cmd.OutOrStdout(),
			})
		},
	}
}

func releaseCommand(checkout *string) *cobra.Command {
	var o supply.ReleaseOptions
	cmd := &cobra.Command{
		Use: "release", Short: "Build the files of a release, and publish nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Checkout, o.Out = *checkout, cmd.OutOrStdout()
			return supply.Release(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Version, "version", "", "version, such as v1.2.3")
	cmd.Flags().StringVar(&o.Dir, "dir", "../.local/release", "folder to fill, which is emptied first")
	return cmd
}

package tenantctl

import (
	"io"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/audit"
	"tenant-permissions/tools/connect"
)

const reading = "Reading the catalog"

func newAudit() *cobra.Command {
	var source connect.Source
	var options audit.Options
	var file string
	cmd := &cobra.Command{
		Use:   "audit --outputs FILE...",
		Short: "Say who can reach what in a database, and what of it is not as designed",
		Long: `Say who can reach what in the database of one or more stacks, by whatever way, and what of it is
not as designed. It only reads, and takes any login that may connect.

A waiver accepts one violation for a reason, until a day. The format waivers prints the violations as
waivers that lack both. The formats sarif and junit show each finding at its tenant's line of the file of
its stack. The format openmetrics is for the textfile collector of node_exporter.` + exits("there are violations that are not waived"),
		Example: "  pulumi stack output --json > prod.json\n  tenantctl audit --outputs prod.json --format html --out audit.html",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source.Stdin = cmd.InOrStdin()
			return buffered(cmd, file, func(out io.Writer) error { return audit.Run(cmd.Context(), &source, options, out) })
		},
	}
	source.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&options.Format, "format", "text", list(audit.Formats()))
	cmd.Flags().StringVar(&options.Waivers, "waivers", "", "`FILE` with waivers of violations")
	cmd.Flags().StringArrayVar(&options.StackFiles, "stack-file", nil, "`FILE` Pulumi.<stack>.yaml of a stack, for the lines of its tenants; repeat it for each stack of the database")
	cmd.Flags().StringVar(&file, "out", "", "`FILE` to write to, which is replaced as a whole (default: standard output)")
	oneOf(cmd, "format", audit.Formats())
	return cmd
}

func newWhy() *cobra.Command {
	var source connect.Source
	cmd := &cobra.Command{
		Use:   "why --outputs FILE... ROLE VERB OBJECT",
		Short: "Say why a role can do something, or why not",
		Long: `Say why a role can do something with an object: the chain of grants, or the first that is missing
and who has it. The verbs are reads, writes, uses, creates-in and owns. An object is the database, a
schema, or schema.name in a tenant's schema.` + exits(""),
		Example: "  tenantctl why --outputs prod.json tenant_acme reads tenant_globex.docs",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, question []string) error {
			source.Stdin = cmd.InOrStdin()
			return buffered(cmd, "", func(out io.Writer) error { return audit.Why(cmd.Context(), &source, question, out) })
		},
	}
	source.AddFlags(cmd.Flags())
	return cmd
}

func newSettings() *cobra.Command {
	var source connect.Source
	var reset, role string
	cmd := &cobra.Command{
		Use:   "settings --outputs FILE...",
		Short: "List the settings that roles gave themselves, and reset them",
		Long: `List the settings of the stacks' roles that are not as the config has them, and reset them on
demand. A role may always change its own settings, and some of these stop every run.` + exits("settings are left that stop runs"),
		Example: "  pulumi config --json --show-secrets | tenantctl settings --config - --outputs prod.json --reset blocking",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source.Stdin = cmd.InOrStdin()
			return buffered(cmd, "", func(out io.Writer) error {
				return audit.Settings(cmd.Context(), &source, reset, role, out)
			})
		},
	}
	source.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&reset, "reset", audit.ResetNothing, audit.ResetBlocking+": reset what stops runs; "+audit.ResetAll+": reset everything that is listed")
	cmd.Flags().StringVar(&role, "role", "", "only this role and its logins")
	oneOf(cmd, "reset", []string{audit.ResetBlocking, audit.ResetAll})
	return cmd
}

func newSessions() *cobra.Command {
	var source connect.Source
	var role string
	var lock, end bool
	cmd := &cobra.Command{
		Use:     "sessions --outputs FILE... --role ROLE",
		Short:   "List the sessions of a role, and lock the role out",
		Long:    `List the sessions of a role and of its logins, end them, or lock the role out.` + exits(""),
		Example: "  tenantctl sessions --outputs prod.json --role tenant_acme --lock",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source.Stdin = cmd.InOrStdin()
			ending := audit.EndNothing
			switch {
			case lock:
				ending = audit.EndLogins
			case end:
				ending = audit.EndSessions
			}
			return buffered(cmd, "", func(out io.Writer) error {
				return audit.Sessions(cmd.Context(), &source, role, ending, out)
			})
		},
	}
	source.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&role, "role", "", "the role; its two logins count too")
	cmd.Flags().BoolVar(&lock, "lock", false, "take LOGIN away from the role and its logins and end their sessions; pulumi up --refresh gives it back")
	cmd.Flags().BoolVar(&end, "end", false, "end the sessions")
	required(cmd, "role")
	return cmd
}

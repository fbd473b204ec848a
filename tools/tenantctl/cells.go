package tenantctl

import (
	"runtime"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/cells"
	"tenant-permissions/tools/progress"
)

// cellsFlags are those of all commands for cells.
type cellsFlags struct{ checkout, platform, organization string }

func (f *cellsFlags) open() (*cells.Stacks, error) {
	return cells.Open(f.checkout, f.platform, f.organization)
}

func newCells() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cells",
		Short: "Spread tenants over cells, check them and deploy them",
		Long: `Spread the tenants of a platform over stacks of their own, cells, which are deployed side by side.
A cell has its shared roles from the platform.`,
	}
	var flags cellsFlags
	all := cmd.PersistentFlags()
	all.StringVar(&flags.checkout, "checkout", "", "`FOLDER` of Pulumi.yaml and the stack files (default: the working directory or the nearest above it that has a Pulumi.yaml)")
	all.StringVar(&flags.platform, "platform", "", "stack that has the shared roles")
	all.StringVar(&flags.organization, "organization", "", "organization in Pulumi Cloud (default: the one that the cells name, or else organization, which is right for other backends)")
	if err := cmd.MarkPersistentFlagRequired("platform"); err != nil {
		panic(err) // a flag that the command does not have
	}
	cmd.AddCommand(newSplit(&flags), newCheck(&flags), newManifests(&flags), newDeploy(&flags))
	return cmd
}

func newSplit(flags *cellsFlags) *cobra.Command {
	var splits cells.Splitting
	cmd := &cobra.Command{
		Use:   "split --platform STACK --tenants FILE",
		Short: "Write the files of cells from one file of tenants",
		Long: `Write the files of the cells of a platform from one file of tenants. A tenant stays in its cell as
long as it exists. If anything is wrong, no file is written.` + exits(""),
		Example: "  tenantctl cells split --platform prod --tenants tenants.yaml --size 50",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stacks, err := flags.open()
			if err != nil {
				return err
			}
			splits.Stdin = cmd.InOrStdin()
			return stacks.Split(splits, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&splits.File, "tenants", "", "YAML `FILE` with all tenants by key, looked for in the checkout, - for standard input")
	cmd.Flags().IntVar(&splits.Size, "size", 50, "most tenants that a cell is filled up to")
	cmd.Flags().StringVar(&splits.Prefix, "prefix", "", "what the cells' names begin with (default <platform>-)")
	required(cmd, "tenants")
	return cmd
}

func newCheck(flags *cellsFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "check --platform STACK",
		Short: "Find what two stacks of a platform both take",
		Long: `Find names and tenants that two stacks of a platform both take, and everything else that is wrong
in their config. If there is nothing of the kind, print the stacks' full names, one a line.` + exits(""),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stacks, err := flags.open()
			if err != nil {
				return err
			}
			return stacks.Check(cmd.OutOrStdout())
		},
	}
}

func newManifests(flags *cellsFlags) *cobra.Command {
	var m cells.Manifests
	cmd := &cobra.Command{
		Use:   "manifests --platform STACK --repo URL",
		Short: "Print the stacks as manifests for the Pulumi Kubernetes Operator",
		Long: `Print the platform and its cells as Stacks of the Pulumi Kubernetes Operator, which deploys what is
pushed to the branch: the platform, and once that has succeeded its cells, side by side.` + exits(""),
		Example: "  tenantctl cells manifests --platform prod --repo https://git.example.com/platform.git",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stacks, err := flags.open()
			if err != nil {
				return err
			}
			return stacks.Manifests(m, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&m.Repo, "repo", "", "`URL` of the git repository with this checkout")
	cmd.Flags().StringVar(&m.Branch, "branch", "main", "branch to deploy")
	cmd.Flags().StringVar(&m.Namespace, "namespace", "default", "namespace of the manifests")
	cmd.Flags().StringVar(&m.Backend, "backend", "", "backend's `URL` (default: Pulumi Cloud)")
	cmd.Flags().StringVar(&m.ServiceAccount, "service-account", "pulumi", "service account of the pods that deploy")
	cmd.Flags().StringVar(&m.Secret, "secret", "tenant-permissions", "Secret that has the variables of --env under their names")
	cmd.Flags().StringSliceVar(&m.Env, "env", []string{"PGPASSWORD", "PULUMI_CONFIG_PASSPHRASE"}, "variables with the pods' secrets, with a comma between them")
	required(cmd, "repo")
	return cmd
}

func newDeploy(flags *cellsFlags) *cobra.Command {
	var d cells.Deployment
	cmd := &cobra.Command{
		Use:   "deploy --platform STACK [-- FLAG...]",
		Short: "Deploy a platform, then all its cells",
		Long: `Deploy a platform, then all its cells, some of them at once. First the stacks are checked; before a
stack is deployed, settings of its roles that stop runs are reset. Stacks that do not exist are made.
A cell that fails stops no other; another run repairs it. Each stack has a log of its own. Flags
behind -- go to pulumi up or preview.` + exits(""),
		Example: "  tenantctl cells deploy --platform prod --jobs 4 -- --refresh",
		RunE: func(cmd *cobra.Command, args []string) error {
			stacks, err := flags.open()
			if err != nil {
				return err
			}
			d.Flags = args
			return showing(cmd, "Deploying", func(line *progress.Line) error {
				d.Line = line
				return stacks.Deploy(cmd.Context(), d, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&d.Preview, "preview", false, "only say what would change; stacks that are missing are made all the same")
	cmd.Flags().IntVar(&d.Jobs, "jobs", runtime.NumCPU(), "how many cells are deployed at once")
	return cmd
}

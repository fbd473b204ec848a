package tenantctl

import (
	"bytes"
	"io"

	"github.com/spf13/cobra"

	"tenant-permissions/internal/config"
	"tenant-permissions/tools/connect"
	"tenant-permissions/tools/setup"
)

func newSetup() *cobra.Command {
	var tenantDatabases bool
	cmd := withConfig(func(cfg config.Config, out io.Writer) error { return setup.WriteSQL(cfg, tenantDatabases, out) }, &cobra.Command{
		Use:   "setup-sql",
		Short: "Print SQL that makes the user as whom the program connects",
		Long: `Print SQL that makes the user as whom the program connects, with what a stack's config needs and no
more. A superuser runs it before the first deployment, or the administrator of a managed service.` + exits(""),
		Example: "  pulumi config --json | tenantctl setup-sql > setup.sql",
	})
	cmd.Flags().BoolVar(&tenantDatabases, "tenant-databases", false, "cells of this stack have tenants with databases of their own")
	return cmd
}

func newNames() *cobra.Command {
	return withConfig(setup.WriteNames, &cobra.Command{
		Use:   "names",
		Short: "Print the names that a stack takes on its server",
		Long: `Print the names of roles that a stack takes on its server, one a line, each with a tab and the path
in the config behind it. Two stacks of one server must have none in common.` + exits(""),
		Example: "  pulumi config --json | tenantctl names",
	})
}

// withConfig makes a command that reads a stack's config and writes something.
func withConfig(write func(config.Config, io.Writer) error, cmd *cobra.Command) *cobra.Command {
	var file string
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		content, err := connect.Read(file, cmd.InOrStdin())
		if err != nil {
			return err
		}
		cfg, err := setup.ReadConfig(bytes.NewReader(content))
		if err != nil {
			return err
		}
		return write(cfg, cmd.OutOrStdout())
	}
	cmd.Flags().StringVar(&file, "config", "-", "`FILE` with the config of a stack (pulumi config --json), - for standard input")
	return cmd
}

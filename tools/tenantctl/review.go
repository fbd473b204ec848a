package tenantctl

import (
	"errors"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/connect"
	"tenant-permissions/tools/review"
)

func newReview() *cobra.Command {
	var file, format string
	var most int
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Explain in sentences what a preview changes",
		Long: `Explain in sentences what a preview changes: which tenants are added, removed, suspended or
retired, whose password is rotated, and what each role gains or loses. No password is shown.` + exits("the preview must not be deployed: it failed, or it removes too many tenants or their data"),
		Example: "  pulumi preview --json --stack prod | tenantctl review",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			preview, err := connect.Open(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, preview.Close()) }()
			return review.Run(preview, format, most, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&file, "preview", "-", "`FILE` with the output of pulumi preview --json, - for standard input")
	cmd.Flags().IntVar(&most, "max-tenants-removed", 0, "how many tenants the deployment may remove, or drop a schema or database of")
	cmd.Flags().StringVar(&format, "format", "text", list(review.Formats()))
	oneOf(cmd, "format", review.Formats())
	return cmd
}

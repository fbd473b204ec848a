package tenantctl

import (
	"bytes"

	"github.com/spf13/cobra"

	"tenant-permissions/tools/connect"
	"tenant-permissions/tools/review"
)

func newReview() *cobra.Command {
	var file, format string
	var most int
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Say in sentences what a preview would change",
		Long: `Say in sentences what a preview would change in who may do what: which tenants come, go, are
rotated, suspended or retired, and what each role gains or loses. No password is shown.` + exits("the preview is not to be deployed: it failed, or too many tenants would go"),
		Example: "  pulumi preview --json --stack prod | tenantctl review",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			preview, err := connect.Read(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return review.Run(bytes.NewReader(preview), format, most, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&file, "preview", "-", "`FILE` with the output of pulumi preview --json, - for standard input")
	cmd.Flags().IntVar(&most, "max-tenants-removed", 0, "how many tenants, or schemas of tenants, may go")
	cmd.Flags().StringVar(&format, "format", "text", list(review.Formats()))
	oneOf(cmd, "format", review.Formats())
	return cmd
}

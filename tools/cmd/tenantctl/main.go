// Command tenantctl looks after the stacks of tenant-permissions: it audits their database, reviews
// previews, spreads tenants over cells, and more. See its help.
package main

import (
	"os"

	"tenant-permissions/tools/tenantctl"
)

func main() { os.Exit(tenantctl.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

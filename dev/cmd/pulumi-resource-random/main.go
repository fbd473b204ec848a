// The offline stand-in for Pulumi's random plugin; see package standin.
package main

import (
	"fmt"
	"os"

	"tenant-permissions/dev/standin"
)

func main() {
	if err := standin.ServeRandom(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

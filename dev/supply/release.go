package supply

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"tenant-permissions/dev/install"
)

// The files of a release beside the binaries and their SBOMs.
const (
	checksumsFile = "SHA256SUMS"
	notesFile     = "notes.md"
)

// ReleaseOptions say what to build.
type ReleaseOptions struct {
	// Checkout is the folder of the program.
	Checkout string
	// Version is that of the tag, such as v1.2.3.
	Version string
	// Dir is the folder to fill. It is emptied first.
	Dir string
	// Out gets a line about each file.
	Out io.Writer
}

// platform is what a binary runs on.
type platform struct{ system, arch string }

func platforms() []platform {
	return []platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}
}

// Release builds tenantctl for every platform, with an SBOM of each binary, their checksums and the
// notes. It publishes nothing. The same commit, version and Go give the same bytes, wherever the
// checkout is.
func Release(ctx context.Context, o ReleaseOptions) error {
	if !semver.IsValid(o.Version) || semver.Canonical(o.Version) != o.Version {
		return fmt.Errorf("the version %q is not accepted: give one like v1.2.3 or v1.2.3-rc.1", o.Version)
	}
	checkout, err := filepath.Abs(o.Checkout)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile(filepath.Join(checkout, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	text, err := notes(string(changelog), o.Version)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	for _, p := range platforms() {
		if err := p.build(ctx, checkout, dir, o.Version); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(o.Out, "built %s with its SBOM\n", p.binary()); err != nil {
			return err
		}
	}
	sums, err := checksums(dir)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, checksumsFile), []byte(sums), 0o644),
		os.WriteFile(filepath.Join(dir, notesFile), []byte(text), 0o644),
	)
}

// binary is the name of the file.
func (p platform) binary() string { return "tenantctl_" + p.system + "_" + p.arch }

// build builds the binary and its SBOM, which lists the modules that are linked into it.
func (p platform) build(ctx context.Context, checkout, dir, version string) error {
	binary := filepath.Join(dir, p.binary())
	flags := "-s -w -X tenant-permissions/tools/tenantctl.release=" + version
	// Without VCS data, so that the folder of a clone and its other files have no influence.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", binary, "./cmd/tenantctl")
	cmd.Dir = filepath.Join(checkout, "tools")
	cmd.Env = append(withoutGoSettings(os.Environ()), "CGO_ENABLED=0", "GOOS="+p.system, "GOARCH="+p.arch)
	if err := install.Run(cmd); err != nil {
		return err
	}
	sbom := tool(ctx, checkout, "cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", version, "-output", binary+".cdx.json", binary)
	sbom.Dir = cmd.Dir
	return install.Run(sbom)
}

// withoutGoSettings removes what would change the binaries from an environment.
func withoutGoSettings(env []string) []string {
	settings := []string{"GOFLAGS", "GOEXPERIMENT", "GOAMD64", "GOARM64", "GOFIPS140"}
	return slices.DeleteFunc(slices.Clone(env), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(settings, name)
	})
}

// checksums has a line for each file of a folder, as sha256sum --check reads it.
func checksums(dir string) (string, error) {
	entries, err := os.ReadDir(dir) // in sorted order
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return text.String(), nil
}

package tenantctl

import "runtime/debug"

// release is the version of a release. Only the linker sets it, with -ldflags -X, which takes a
// variable of a package.
var release string

// version is what --version prints: the release, or the commit that the tool was built from.
func version() string {
	if release != "" {
		return release
	}
	commit := "of an unknown commit"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				commit = setting.Value
			}
		}
	}
	return "development build " + commit
}

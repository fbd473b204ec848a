// Package deployed compares what is deployed with what is configured. The provider would change some
// settings in a way that loses memberships, privileges or data, so the program ignores their changes.
// Where config and server differ in one, the functions here make the run fail, in preview already.
//
// Each returns its value as an output. An output that nothing uses drops its error: pass it to Require,
// or use it.
package deployed

import (
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
)

// Unchanged is what a resource has of a setting that cannot change after deployment. path is where the
// config has it.
func Unchanged[T comparable, O pulumi.Output](path string, configured T, deployed O) O {
	return deployed.ApplyT(func(value T) (T, error) {
		if value != configured {
			return value, changed(path, value, configured)
		}
		return value, nil
	}).(O)
}

// SameLocale is Unchanged for an encoding or a locale, which servers write in several ways: UTF-8 is
// utf8. An empty configured value stands for the server's default.
func SameLocale(path, configured string, deployed pulumi.StringOutput) pulumi.StringOutput {
	plain := func(name string) string { return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name)) }
	return deployed.ApplyT(func(name string) (string, error) {
		if configured != "" && plain(name) != plain(configured) {
			return name, changed(path, name, configured)
		}
		return name, nil
	}).(pulumi.StringOutput)
}

func changed(path string, deployed, configured any) error {
	return fmt.Errorf("%s cannot change after deployment: deployed %v, configured %v", path, deployed, configured)
}

// InSchema fails if an extension is in another schema than the configured one.
func InSchema(extension, configured string, deployed pulumi.StringOutput) pulumi.StringOutput {
	return deployed.ApplyT(func(schema string) (string, error) {
		if schema != configured {
			return schema, fmt.Errorf("%s: the extension is in the schema %s; run ALTER EXTENSION %q SET SCHEMA %s, then pulumi up --refresh",
				config.Join("extensions", extension), schema, extension, configured)
		}
		return schema, nil
	}).(pulumi.StringOutput)
}

// ReplacedOnExpiry are the options of a role with the given expiry, none for a role that has none. The
// provider compares its text with the text that the server shows, which depends on the server's time
// zone: there would be a difference in every preview. So changes are ignored, and another expiry
// replaces the role. A role that does not expire has infinity, because Pulumi replaces nothing where it
// knows no value of before.
func ReplacedOnExpiry(expiry pulumi.StringPtrInput) []pulumi.ResourceOption {
	if expiry == nil {
		return nil
	}
	return []pulumi.ResourceOption{
		pulumi.IgnoreChanges([]string{"validUntil"}), pulumi.ReplacementTrigger(expiry), pulumi.DeleteBeforeReplace(true),
	}
}

// SameExpiry fails if a role has another expiry than the configured one. deployed is the server's text,
// which is in the server's time zone.
func SameExpiry(path string, configured time.Time, deployed pulumi.StringPtrOutput) pulumi.StringOutput {
	return deployed.Elem().ApplyT(func(text string) (string, error) {
		if text == config.Expiry(configured) {
			return text, nil
		}
		for _, layout := range []string{"2006-01-02 15:04:05-07", "2006-01-02 15:04:05-07:00"} {
			if at, err := time.Parse(layout, text); err == nil && at.Equal(configured) {
				return text, nil
			}
		}
		return text, fmt.Errorf("%s: the password is valid until %s on the server, and until %s in the config; set it with ALTER ROLE … VALID UNTIL and run pulumi up --refresh, or give another time",
			path, text, config.Expiry(configured))
	}).(pulumi.StringOutput)
}

// Require is a value that fails if one of the others does.
func Require(value pulumi.StringOutput, others ...any) pulumi.StringOutput {
	return pulumi.All(append([]any{value}, others...)...).ApplyT(func(all []any) string {
		return all[0].(string)
	}).(pulumi.StringOutput)
}

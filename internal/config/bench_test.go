package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkLoad reads configs of many tenants. Checks of cells, previews and reviews do it.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("%d tenants", n), func(b *testing.B) {
			var tenants []string
			for i := range n {
				tenants = append(tenants, fmt.Sprintf(`"t%05d":{"connectionLimit":20,"agents":{"chat":{}}}`, i))
			}
			values := Values{
				"postgresql:database":        {Value: "platform"},
				"tenant-permissions:tenants": {Value: "{" + strings.Join(tenants, ",") + "}"},
			}
			for b.Loop() {
				if _, err := Load(values, func(string) (string, bool) { return "", false }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

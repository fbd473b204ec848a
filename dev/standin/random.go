package standin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumiprovider "github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"golang.org/x/crypto/bcrypt"
)

// ServeRandom runs the stand-in for the random plugin until the engine ends it.
func ServeRandom() error {
	return pulumiprovider.Main("random", func(*pulumiprovider.HostClient) (pulumirpc.ResourceProviderServer, error) {
		return newRandom(), nil
	})
}

func newRandom() *provider {
	return &provider{
		version:       "4.21.2",
		types:         map[tokens.Type]resourceType{"random:index/randomPassword:RandomPassword": passwords()},
		settings:      map[string]property{"version": {}}, // the version of the plugin that the engine requires
		checkSettings: func(object) error { return nil },
		configure:     func(context.Context, object) error { return nil },
	}
}

// passwords manages random.RandomPassword. It is in the state only, and any change replaces it.
func passwords() resourceType {
	return resourceType{
		properties: map[string]property{
			"length":     {kind: number, required: true, replaces: true},
			"keepers":    {kind: dictionary, replaces: true},
			"lower":      {kind: flag, replaces: true, fallback: true},
			"upper":      {kind: flag, replaces: true, fallback: true},
			"numeric":    {kind: flag, replaces: true, fallback: true},
			"special":    {kind: flag, replaces: true, fallback: true},
			"result":     {output: true, secret: true},
			"bcryptHash": {output: true, secret: true},
		},
		id: func(object) string { return "none" },
		create: func(_ context.Context, password object) error {
			result, err := generate(password)
			if err != nil {
				return err
			}
			hash, err := bcrypt.GenerateFromPassword([]byte(result[:min(len(result), 72)]), bcrypt.DefaultCost) // bcrypt takes no more
			if err != nil {
				return fmt.Errorf("hashing the password: %w", err)
			}
			password.set("result", result)
			password.set("bcryptHash", string(hash))
			return nil
		},
		read:   func(_ context.Context, state object) (object, error) { return state, nil },
		delete: func(context.Context, object) error { return nil },
	}
}

func generate(password object) (string, error) {
	characters := ""
	for _, class := range []struct{ name, characters string }{
		{"lower", "abcdefghijklmnopqrstuvwxyz"},
		{"upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"numeric", "0123456789"},
		{"special", "!@#$%&*()-_=+[]{}<>:?"},
	} {
		if password.flag(class.name) {
			characters += class.characters
		}
	}
	if characters == "" || password.number("length") < 1 {
		return "", errors.New("a password needs a length and at least one kind of characters")
	}
	var result strings.Builder
	for range password.number("length") {
		i, err := rand.Int(rand.Reader, big.NewInt(int64(len(characters))))
		if err != nil {
			return "", fmt.Errorf("drawing a random character: %w", err)
		}
		result.WriteByte(characters[i.Int64()])
	}
	return result.String(), nil
}

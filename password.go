package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// passwordLength in letters and digits is 190 bits. Special characters would add little and
	// are mangled on the way: the provider doubles backslashes, URLs need escapes.
	passwordLength = 32
	// scramIterations is PostgreSQL's own number. More would slow every login and add nothing
	// against guessing a random password.
	scramIterations = 4096
	saltBytes       = 16
)

// newPassword registers the random password of a login; another version makes another password.
// It is a RandomPassword, whose resource ID is the word none: the ID of RandomBytes, RandomString
// and RandomUuid is the value itself, in plain in the state.
func newPassword(ctx *pulumi.Context, name string, version int, opts ...pulumi.ResourceOption) (*random.RandomPassword, error) {
	return random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{
		Length:  pulumi.Int(passwordLength),
		Special: pulumi.Bool(false),
		Keepers: pulumi.StringMap{"passwordVersion": pulumi.String(strconv.Itoa(version))},
	}, opts...)
}

// verifierOf is what PostgreSQL is given in place of the password, as a secret. Plaintext in
// CREATE ROLE would stand in the server's log.
func verifierOf(password pulumi.StringOutput, role string) pulumi.StringOutput {
	return pulumi.ToSecret(password.ApplyT(func(password string) (string, error) {
		return scramVerifier(password, derivedSalt(password, role), scramIterations)
	})).(pulumi.StringOutput)
}

// derivedSalt makes a salt that is the same in every run, or every preview would show a new
// verifier, and another one for every role and password.
func derivedSalt(password, role string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte("tenant-permissions salt " + role))
	return mac.Sum(nil)[:saltBytes]
}

// scramVerifier is the form in which PostgreSQL stores a SCRAM-SHA-256 password (RFC 5802, RFC
// 7677): SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. The password must be ASCII,
// for which the RFC's normalisation (SASLprep) changes nothing.
func scramVerifier(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("deriving the SCRAM key: %w", err)
	}
	hash := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	storedKey := sha256.Sum256(hash(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		iterations, b64(salt), b64(storedKey[:]), b64(hash(salted, "Server Key"))), nil
}

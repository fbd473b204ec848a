// Package scram computes what PostgreSQL stores in place of a password.
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

const (
	// iterations is PostgreSQL's own number. More would slow down every login and add nothing against
	// guessing a random password.
	iterations = 4096
	saltBytes  = 16
)

// Verifier is the SCRAM-SHA-256 verifier of the role's password. It is the same in every run: the salt
// comes from password and role, or every preview would show a change. The password must be ASCII.
func Verifier(password, role string) (string, error) {
	return Derive(password, salt(password, role), iterations)
}

// salt is another one for each role and password.
func salt(password, role string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte("tenant-permissions salt " + role))
	return mac.Sum(nil)[:saltBytes]
}

// Derive is the form in which PostgreSQL stores a SCRAM-SHA-256 password (RFC 5802, RFC 7677):
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, salt and keys in base 64. The password
// must be ASCII, which the RFC's normalisation (SASLprep) does not change.
func Derive(password string, salt []byte, iterations int) (string, error) {
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

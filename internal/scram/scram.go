// Package scram makes the SCRAM-SHA-256 verifiers that PostgreSQL stores in place of passwords.
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

const (
	// iterations is PostgreSQL's own number. More would slow every login and add nothing against
	// guessing a random password.
	iterations = 4096
	saltBytes  = 16
)

// Verifier is what PostgreSQL is given in place of the password of a role. It is the same each time.
// The password must be ASCII.
func Verifier(password, role string) (string, error) {
	return verifier(password, derivedSalt(password, role), iterations)
}

// derivedSalt makes a salt that is the same in every run, or every preview would show a new
// verifier, and another one for every role and password.
func derivedSalt(password, role string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte("tenant-permissions salt " + role))
	return mac.Sum(nil)[:saltBytes]
}

// verifier is the form in which PostgreSQL stores a SCRAM-SHA-256 password (RFC 5802, RFC
// 7677): SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. The password must be ASCII,
// for which the RFC's normalisation (SASLprep) changes nothing.
func verifier(password string, salt []byte, iterations int) (string, error) {
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

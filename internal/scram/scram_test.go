package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// The exchange published in RFC 7677, section 3: user "user", password "pencil".
const (
	rfcSalt        = "W22ZaJ0SNY7soEsUEjb6gQ=="
	rfcIterations  = 4096
	rfcNonce       = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcAuthMessage = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
		"r=" + rfcNonce + ",s=" + rfcSalt + ",i=4096," +
		"c=biws,r=" + rfcNonce
	rfcClientProof     = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcServerSignature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

// A verifier is right if, with it alone, a server accepts the RFC's client and answers with the
// RFC's signature.
func TestVerifierOfRFC7677(t *testing.T) {
	salt := decode(t, rfcSalt)
	verifier, err := verifier("pencil", salt, rfcIterations)
	if err != nil {
		t.Fatal(err)
	}
	keys, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$4096:"+rfcSalt+"$")
	stored, server, ok2 := strings.Cut(keys, ":")
	if !ok || !ok2 {
		t.Fatalf("not in PostgreSQL's form: %s", verifier)
	}

	mac := func(key []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(rfcAuthMessage))
		return h.Sum(nil)
	}
	if got := base64.StdEncoding.EncodeToString(mac(decode(t, server))); got != rfcServerSignature {
		t.Errorf("server signature: got %s, want %s", got, rfcServerSignature)
	}
	clientKey, signature := decode(t, rfcClientProof), mac(decode(t, stored))
	for i := range clientKey {
		clientKey[i] ^= signature[i]
	}
	if got := sha256.Sum256(clientKey); !bytes.Equal(got[:], decode(t, stored)) {
		t.Error("the published client proof does not fit the stored key")
	}
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDerivedSalt(t *testing.T) {
	salt := derivedSalt("password", "tenant_acme")
	if len(salt) != saltBytes || !slices.Equal(salt, derivedSalt("password", "tenant_acme")) {
		t.Errorf("not %d bytes that stay the same: %x", saltBytes, salt)
	}
	if slices.Equal(salt, derivedSalt("password", "tenant_globex")) || slices.Equal(salt, derivedSalt("passwore", "tenant_acme")) {
		t.Error("two roles or two passwords have one salt")
	}
}

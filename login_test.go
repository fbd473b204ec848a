package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
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
	verifier, err := scramVerifier("pencil", salt, rfcIterations)
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

// The server gets the verifier of the login's own password, and never the password.
func TestRolesAreGivenVerifiers(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{}}`, `{"analyst":{}}`), m); err != nil {
		t.Fatal(err)
	}
	for prefix, role := range map[string]string{
		"app-service": "app_service_role", "admin-login": "admin_service_login", "analyst": "analyst", "acme": "tenant_acme",
	} {
		password := generated(prefix + "-password")
		want, err := scramVerifier(password, derivedSalt(password, role), scramIterations)
		if err != nil {
			t.Fatal(err)
		}
		input := m.named(t, prefix+"-role").Inputs["password"]
		if !input.IsSecret() || input.SecretValue().Element.StringValue() != want {
			t.Errorf("%s: the password input is not the secret verifier of %s", role, password)
		}
	}
	for _, name := range []string{"admin-service-role", "all-tenants", "all-tenants-admin"} {
		inputs := m.named(t, name).Inputs
		if _, has := inputs["password"]; has || inputs["login"].BoolValue() {
			t.Errorf("%s can log in", name)
		}
	}
}

func TestPasswordVersionMakesAnotherPassword(t *testing.T) {
	m := &mocks{}
	if _, err := run(t, stackConfig(`{"acme":{"passwordVersion":7},"globex":{}}`, `{"admin":{"passwordVersion":3}}`), m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"acme-password": "7", "globex-password": "1", "admin-login-password": "3", "app-service-password": "1"} {
		args := m.named(t, name)
		if got := args.Inputs["keepers"].ObjectValue()["passwordVersion"].StringValue(); got != want {
			t.Errorf("%s: keeper %s, want %s", name, got, want)
		}
		if length := args.Inputs["length"].NumberValue(); length < 32 || args.Inputs["special"].BoolValue() {
			t.Errorf("%s: %v letters and digits, want 32 (190 bits)", name, length)
		}
	}
}

// A pair of logins acts as its role and has nothing of its own. The role itself logs in no more,
// unless it keeps a password version.
func TestPairOfLogins(t *testing.T) {
	m := &mocks{}
	exports, err := run(t, stackConfig(
		`{"acme":{"connectionLimit":7,"logins":{"active":"b","a":{"passwordVersion":3}}},"globex":{"logins":{},"suspended":true}}`,
		`{"app":{"logins":{"active":"b"},"passwordVersion":1},"admin":{"logins":{}},"analyst":{"logins":{}}}`), m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"acme-role": "Role acme-role parent=acme bypassRowLevelSecurity=false connectionLimit=7 login=false name=tenant_acme " +
			"password=secret<-acme-password roles=[all_tenants]<-all-tenants searchPaths=[tenant_acme] after=default-functions ignores=name",
		"acme-a-role": "Role acme-a-role parent=acme assumeRole=tenant_acme<-acme-role bypassRowLevelSecurity=false connectionLimit=7 login=true name=tenant_acme_a " +
			"password=secret<-acme-a-password roles=[tenant_acme]<-acme-role searchPaths=[tenant_acme] after=default-functions ignores=name",
		"globex-b-role": "Role globex-b-role parent=globex assumeRole=tenant_globex<-globex-role bypassRowLevelSecurity=false connectionLimit=-1 login=false name=tenant_globex_b " +
			"password=secret<-globex-b-password roles=[tenant_globex]<-globex-role searchPaths=[tenant_globex] after=default-functions ignores=name",
		"app-service-role": "Role app-service-role bypassRowLevelSecurity=false connectionLimit=-1 login=true name=app_service_role " +
			"password=secret<-app-service-password ignores=name",
		"app-service-a-role": "Role app-service-a-role assumeRole=app_service_role<-app-service-role bypassRowLevelSecurity=false connectionLimit=-1 login=true name=app_service_role_a " +
			"password=secret<-app-service-a-password roles=[app_service_role]<-app-service-role ignores=name",
		"admin-login-b-role": "Role admin-login-b-role assumeRole=admin_service_role<-admin-service-role bypassRowLevelSecurity=false connectionLimit=-1 login=true name=admin_service_login_b " +
			"password=secret<-admin-login-b-password roles=[admin_service_login]<-admin-login-role ignores=name",
	} {
		if got := describe(m.named(t, name)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for name, version := range map[string]string{"acme-a-password": "3", "acme-b-password": "1"} {
		if keeper := m.named(t, name).Inputs["keepers"].ObjectValue()["passwordVersion"].StringValue(); keeper != version {
			t.Errorf("%s: version %s, want %s", name, keeper, version)
		}
	}
	// The schema goes first and keeps both logins if it is refused to go.
	if got := describe(m.named(t, "acme-schema")); !strings.Contains(got, "after=acme-a-role after=acme-b-role after=acme-role") {
		t.Errorf("got %s", got)
	}
	for output, want := range map[string]map[string]string{
		"tenant_role_names":  {"acme": "tenant_acme", "globex": "tenant_globex"},
		"tenant_login_names": {"acme": "tenant_acme_b", "globex": "tenant_globex_a"},
		"login_names":        {"app": "app_service_role_b", "admin": "admin_service_login_a", "analyst": "analyst_a"},
		"passwords": {
			"tenant_acme_a":         generated("acme-a-password"),
			"tenant_acme_b":         generated("acme-b-password"),
			"tenant_globex_a":       generated("globex-a-password"),
			"tenant_globex_b":       generated("globex-b-password"),
			"app_service_role":      generated("app-service-password"),
			"app_service_role_a":    generated("app-service-a-password"),
			"app_service_role_b":    generated("app-service-b-password"),
			"admin_service_login_a": generated("admin-login-a-password"),
			"admin_service_login_b": generated("admin-login-b-password"),
			"analyst_a":             generated("analyst-a-password"),
			"analyst_b":             generated("analyst-b-password"),
		},
	} {
		if got, _ := await(t, exports[output]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", output, got, want)
		}
	}
	if name, _ := await(t, exports["admin_service_login_name"]); name != "admin_service_login_a" {
		t.Errorf("admin_service_login_name: got %v", name)
	}
}

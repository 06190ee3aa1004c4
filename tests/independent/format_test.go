package main

import (
	"bytes"
	"slices"
	"testing"
)

// firstVector is the first test vector of the specification.
const firstVector = "ags1.35eee4bfa05d6bdb.gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXXCVvXBa6bL9jj72mxzl3Qk0TBHvLA1LTvnksVCOIT09+Vb0iYC+Ni0kd9" +
	"GuPXRhsI/JhsY6B2NU8TSlro/WcxkE8wquQWkZVFeqfEJNpTc3mN9Mo141s+w7AZN8lOkru61fYGjJhm5ym2rGKoTj4oA=="

func count(from, to byte) []byte {
	var out []byte
	for b := from; b <= to; b++ {
		out = append(out, b)
	}
	return out
}

func TestFirstVectorOfTheSpecification(t *testing.T) {
	dek, salt := count(0x00, 0x1f), count(0x80, 0x97)
	b := binding{"Opaque", "password", []string{"prod/db"}}
	if got := sealValue(dek, salt, []byte("hunter2"), b); got != firstVector {
		t.Fatalf("sealed to %s", got)
	}
	kid, blob, ok := parseValue(firstVector)
	if !ok || kid != kidOf(dek) {
		t.Fatalf("kid %q, ok %v", kid, ok)
	}
	value, err := openBlob(dek, blob, b)
	if err != nil || string(value) != "hunter2" {
		t.Fatalf("opened to %q, %v", value, err)
	}
	for _, other := range []binding{
		{"kubernetes.io/tls", "password", []string{"prod/db"}},
		{"Opaque", "passwort", []string{"prod/db"}},
		{"Opaque", "password", []string{"prod/*"}},
		{"Opaque", "password", []string{"prod/db", "test/db"}},
	} {
		if _, err := openBlob(dek, blob, other); err == nil {
			t.Errorf("opened as %v", other)
		}
	}
}

func TestPadme(t *testing.T) {
	// By hand, from the definition: E = floor(log2 L), S = floor(log2 E) + 1, up to a multiple of 2^(E−S).
	for length, want := range map[int]int{
		64: 64, 65: 72, 66: 72, 72: 72, 73: 80, 100: 104, 128: 128, 129: 144, 255: 256, 1000: 1024, 1024: 1024,
		1025: 1088, 1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15,
	} {
		if got := padme(length); got != want {
			t.Errorf("padme(%d) = %d, want %d", length, got, want)
		}
	}
}

func TestPadding(t *testing.T) {
	for length := range 300 {
		value := bytes.Repeat([]byte{0}, length)
		padded := pad(value)
		got, err := unpad(padded)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%d bytes: %v", length, err)
		}
		if _, err := unpad(append(padded, 0)); err == nil {
			t.Fatalf("%d bytes: one zero more is accepted", length)
		}
	}
	if len(pad(make([]byte, 63))) != 64 || len(pad(make([]byte, 64))) != 72 {
		t.Error("the floor is 64 bytes with the mark")
	}
	if _, err := unpad(make([]byte, 64)); err == nil {
		t.Error("no mark is accepted")
	}
}

func TestPatternSyntax(t *testing.T) {
	for pattern, want := range map[string]bool{
		"shop-prod/db": true, "shop-prod/*": true, "*/*": true, "*-prod/db": true, "s*-*d/p-*-db": true, "a/b.c": true,
		"prod/db-{hash}": true, "prod/*-{hash}": true, "*/*-*-{hash}": true,
		"": false, "prod": false, "prod/": false, "/db": false, "prod/db/x": false, "Prod/db": false, "prod/d_b": false,
		"prod/***": false, "*-*-*/db": false, "prod/{hash}": false, "prod/-{hash}": false, "prod/db{hash}": false,
		"prod/db-{hash}-x": false, "prod-{hash}/db": false, "prod/db-{hash}-{hash}": false, "-prod/db": false,
		"prod/db-": false, "pr.od/db": false, "prod/db ": false, "prod/db\n": false,
	} {
		if got := validPattern(pattern); got != want {
			t.Errorf("validPattern(%q) = %v", pattern, got)
		}
	}
}

func TestPatternMatching(t *testing.T) {
	for _, c := range []struct {
		pattern, namespace, name string
		want                     bool
	}{
		{"prod/db", "prod", "db", true},
		{"prod/db", "prod", "db2", false},
		{"prod/db", "xprod", "db", false},
		{"prod/*", "prod", "db.with.dots", true},
		{"prod/*", "prod2", "db", false},
		{"*/db", "prod", "db", true},
		{"p*d/db", "pd", "db", true},
		{"shop-*/db", "shop", "db", false},
		{"prod/*-db-*", "prod", "a-db-b-db-c", true},
		{"prod/a.b", "prod", "axb", false},
		{"prod/db-{hash}", "prod", "db-2456789bcd", true},
		{"prod/db-{hash}", "prod", "db-2456789bca", false}, // `a` is not in the alphabet
		{"prod/db-{hash}", "prod", "db-2456789bc", false},
		{"prod/db-{hash}", "prod", "db-2456789bcdf", false},
		{"prod/db-{hash}", "prod", "db", false},
		{"prod/*-{hash}", "prod", "p-db-mmmmmmmmmm", true},
	} {
		if got := patternMatches(c.pattern, c.namespace, c.name); got != c.want {
			t.Errorf("%s on %s/%s: %v", c.pattern, c.namespace, c.name, got)
		}
	}
}

func TestScopeOrder(t *testing.T) {
	if !validScope([]string{"a/b", "a/c"}) || validScope([]string{"a/c", "a/b"}) || validScope([]string{"a/b", "a/b"}) {
		t.Error("a scope is sorted and has no duplicates")
	}
	if got := canonicalScope([]string{"b/b", "a/a", "b/b"}); !slices.Equal(got, []string{"a/a", "b/b"}) {
		t.Error(got)
	}
}

package main

import (
	"regexp"
	"slices"
	"strings"
)

// Caps of a scope.
const (
	maxPatterns      = 32
	maxPatternLength = 330
)

const hashPlaceholder = "-{hash}"

var (
	// dnsLabel is what Kubernetes takes as the name of a namespace.
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	// dnsSubdomain is what Kubernetes takes as the name of most objects.
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	// hashSuffix is what kustomize appends to a name: ten characters of its own alphabet.
	hashSuffix = "-[2456789bcdfghkmt]{10}"
)

// validPattern tells whether a pattern has the syntax of format.md, "Scope patterns".
//
// A side is judged with one letter in place of each `*`, and with a suffix as kustomize makes it in place of `{hash}`.
func validPattern(pattern string) bool {
	namespace, name, found := strings.Cut(pattern, "/")
	if !found || len(pattern) > maxPatternLength {
		return false
	}
	if strings.Count(namespace, "*") > 2 || strings.Count(name, "*") > 2 {
		return false
	}
	if rest, ok := strings.CutSuffix(name, hashPlaceholder); ok {
		name = rest + "-2222222222"
	}
	namespace = strings.ReplaceAll(namespace, "*", "x")
	name = strings.ReplaceAll(name, "*", "x")
	return len(namespace) <= 63 && dnsLabel.MatchString(namespace) &&
		len(name) <= 253 && dnsSubdomain.MatchString(name)
}

// validScope tells whether a list is a scope as a reader accepts it: 1 to 32 patterns, sorted bytewise, unique.
func validScope(scope []string) bool {
	if len(scope) == 0 || len(scope) > maxPatterns {
		return false
	}
	for i, pattern := range scope {
		if !validPattern(pattern) || i > 0 && scope[i-1] >= pattern {
			return false
		}
	}
	return true
}

// patternMatches tells whether a valid pattern covers a Secret.
func patternMatches(pattern, namespace, name string) bool {
	patternNamespace, patternName, _ := strings.Cut(pattern, "/")
	return sideMatches(patternNamespace, namespace) && sideMatches(patternName, name)
}

func sideMatches(pattern, text string) bool {
	stem, hashed := strings.CutSuffix(pattern, hashPlaceholder)
	expression := strings.ReplaceAll(regexp.QuoteMeta(stem), `\*`, `[^/]*`)
	if hashed {
		expression += hashSuffix
	}
	return regexp.MustCompile(`^` + expression + `$`).MatchString(text)
}

// scopeMatches tells whether any pattern of a scope covers a Secret.
func scopeMatches(scope []string, namespace, name string) bool {
	return slices.ContainsFunc(scope, func(pattern string) bool {
		return patternMatches(pattern, namespace, name)
	})
}

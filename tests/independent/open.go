package main

// secret is what a document opens to. JSON gives the bytes of the values in base64.
type secret struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Type      string            `json:"type"`
	Data      map[string][]byte `json:"data"`
}

// live says where a document stands: the namespace and name that the cluster knows it by.
type live struct {
	namespace, name string
	// source is a file that no overlay has been applied to yet: it has no live namespace and name, and only the
	// authenticated context counts.
	source bool
}

// open opens a document in the order of format.md, "Opening". All or nothing.
func (d *document) open(identities []identity, at live) (*secret, *refusal) {
	if refused := d.checkShape(at.source); refused != nil {
		return nil, refused
	}
	keys := sortedKeys(d.Spec.EncryptedData)
	if !at.source {
		for _, key := range keys {
			scope := d.Spec.effectiveScope(d.Spec.EncryptedData[key])
			if at.namespace == "" || at.name == "" || !scopeMatches(scope, at.namespace, at.name) {
				return nil, &refusal{Step: stepScope, Reason: scopeMismatch, Key: key}
			}
		}
	}
	opener := &opener{identities: identities, known: map[string]outcome{}}
	data := make(map[string][]byte, len(keys))
	for _, key := range keys {
		value, refused := d.openItem(opener, key)
		if refused != nil {
			return nil, refused
		}
		data[key] = value
	}
	return &secret{Namespace: at.namespace, Name: at.name, Type: d.Spec.secretType(), Data: data}, nil
}

func (d *document) openItem(opener *opener, key string) ([]byte, *refusal) {
	i := d.Spec.EncryptedData[key]
	kid, blob, _ := parseValue(i.Value) // The shape has been checked.
	refused := &refusal{Step: stepRecipient, Reason: notARecipient, Key: key}
	for _, file := range d.Spec.candidates(i, kid) {
		result := opener.open(file)
		if result.dek == nil && result.reason == notARecipient {
			continue
		}
		if result.dek == nil || kidOf(result.dek) != kid {
			// Another file may still hold the key: nobody can check an appended one without an identity.
			refused = &refusal{Step: stepEnvelope, Reason: cannotOpen, Key: key}
			continue
		}
		value, err := openBlob(result.dek, blob, binding{d.Spec.secretType(), key, d.Spec.effectiveScope(i)})
		if err != nil {
			return nil, &refusal{Step: stepValue, Reason: cannotOpen, Key: key}
		}
		return value, nil
	}
	return nil, refused
}

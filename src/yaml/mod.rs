//! YAML with byte spans, and surgical edits.

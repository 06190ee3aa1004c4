//! The project's own chores: what is generated, measured or checked around the code.

fn main() {}

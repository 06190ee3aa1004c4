//! Lists on their way: how far each is, and what each has held so far.
//!
//! Namespaces that are served by name are listed apart from each other, and one that cannot be listed holds up no other.

use std::collections::HashSet;

use crate::doc::Key;

/// How far a first list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// It is on its way.
    Waiting,
    /// Everything was listed, and is watched.
    Complete,
    /// The API server does not let it be listed, or knows no such thing: for want of a Role, say. It is tried again.
    Refused,
}

/// The lists of one kind of object, one a scope.
pub struct Lists {
    states: Vec<List>,
    listed: Vec<HashSet<Key>>,
    /// The namespace of each scope; empty if there is one scope for all.
    namespaces: Vec<String>,
}

impl Lists {
    /// Lists that did not begin: one a namespace, or one for all. None is none.
    pub fn new(count: usize, namespaces: &[String]) -> Self {
        let namespaces = namespaces.to_vec();
        Self { states: vec![List::Waiting; count], listed: vec![HashSet::new(); count], namespaces }
    }

    /// Which list an object is in.
    pub fn scope_of(&self, key: &Key) -> Option<usize> {
        match self.namespaces.is_empty() {
            true => Some(0),
            false => self.namespaces.iter().position(|namespace| namespace == key.namespace()),
        }
    }

    /// How far the list is that an object is in.
    pub fn of(&self, key: &Key) -> List {
        self.scope_of(key).and_then(|scope| self.states.get(scope).copied()).unwrap_or(List::Waiting)
    }

    /// Whether no list is waited for, and not every one was refused.
    pub fn are_settled(&self) -> bool {
        let complete = self.states.is_empty() || self.states.contains(&List::Complete);
        complete && !self.states.contains(&List::Waiting)
    }

    /// A list begins, perhaps anew.
    pub fn begin(&mut self, scope: usize) {
        self.listed[scope] = HashSet::new();
    }

    /// It holds an object.
    pub fn listed(&mut self, scope: usize, key: Key) {
        self.listed[scope].insert(key);
    }

    /// It is complete: this is what it held.
    pub fn complete(&mut self, scope: usize) -> HashSet<Key> {
        self.states[scope] = List::Complete;
        std::mem::take(&mut self.listed[scope])
    }

    /// It was refused; tells whether that is news. What was complete once stays so: what is known is known.
    pub fn refuse(&mut self, scope: usize) -> bool {
        let news = self.states[scope] == List::Waiting;
        if news {
            self.states[scope] = List::Refused;
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_refused_holds_up_no_other() {
        let mut lists = Lists::new(2, &["a".to_owned(), "b".to_owned()]);
        assert!(lists.refuse(1) && !lists.refuse(1));
        assert!(!lists.are_settled(), "the other is on its way");
        lists.complete(0);
        assert!(lists.are_settled());
        assert_eq!(lists.of(&Key::new("a", "x")), List::Complete);
        assert_eq!(lists.of(&Key::new("b", "x")), List::Refused);
        assert_eq!(lists.of(&Key::new("c", "x")), List::Waiting);
        lists.complete(1);
        assert!(!lists.refuse(1), "what was listed stays known");
    }

    #[test]
    fn where_everything_is_refused_nothing_is_settled() {
        let mut lists = Lists::new(1, &[]);
        assert_eq!(lists.scope_of(&Key::new("any", "x")), Some(0));
        lists.refuse(0);
        assert!(!lists.are_settled());
        assert!(Lists::new(0, &[]).are_settled(), "what is not watched is not waited for");
    }
}

//! How a random tree is made, in parts that can be taken away one by one.

mod unit;

use std::collections::BTreeMap;

use ageseal_testkit::Random;
use unit::{Grower, Unit};

use crate::archive::{Entry, Tree};

/// A part of a file: a field with the items of its list, or a document.
#[derive(Clone)]
struct Part {
    head: String,
    /// None if it is no list: then it goes as a whole.
    items: Option<Vec<String>>,
}

impl Part {
    fn text(&self) -> String {
        match &self.items {
            None => self.head.clone(),
            Some(items) if items.is_empty() => String::new(),
            Some(items) => self.head.clone() + &items.concat(),
        }
    }
}

#[derive(Clone, Default)]
struct File {
    parts: Vec<Part>,
    crlf: bool,
}

/// A tree and the folders to build.
#[derive(Clone)]
pub struct Forest {
    files: BTreeMap<String, File>,
    pub roots: Vec<String>,
}

impl Forest {
    pub fn grow(seed: u64) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9);
        let mut forest = Self { files: BTreeMap::new(), roots: Vec::new() };
        let mut units: Vec<Unit> = Vec::new();
        let count = 1 + random.below(5);
        for number in 0..count {
            let last = number + 1 == count;
            let component = !last && number > 0 && random.percent(30);
            let folder = if component { format!("component{number}") } else { format!("unit{number}") };
            let mut grower = Grower { random: &mut random, files: BTreeMap::new(), folder, number, component };
            let unit = grower.unit(&mut units);
            forest.files.append(&mut grower.files);
            units.push(unit);
        }
        forest.roots =
            units.iter().filter(|unit| !unit.used && !unit.component).map(|unit| unit.folder.clone()).collect();
        if random.percent(5) {
            let unit = &units[random.below(units.len())];
            if !forest.roots.contains(&unit.folder) {
                forest.roots.push(unit.folder.clone());
            }
        }
        forest
    }

    pub fn tree(&self) -> Tree {
        let files = self.files.iter().map(|(path, file)| {
            let text: String = file.parts.iter().map(Part::text).collect();
            let text = if file.crlf { text.replace('\n', "\r\n") } else { text };
            (path.clone(), Entry::File(text.into_bytes()))
        });
        files.collect()
    }

    /// How many parts can be taken away.
    pub fn parts(&self) -> usize {
        let of_part = |part: &Part| 1 + part.items.as_ref().map_or(0, Vec::len);
        self.files.values().map(|file| 1 + file.parts.iter().map(of_part).sum::<usize>()).sum()
    }

    /// The tree without one part.
    pub fn without(&self, mut number: usize) -> Option<Self> {
        let mut less = self.clone();
        for (path, file) in &self.files {
            if number == 0 {
                less.files.remove(path);
                return Some(less);
            }
            number -= 1;
            for (at, part) in file.parts.iter().enumerate() {
                if number == 0 {
                    less.files.get_mut(path)?.parts.remove(at);
                    return Some(less);
                }
                number -= 1;
                let items = part.items.as_ref().map_or(0, Vec::len);
                if number < items {
                    less.files.get_mut(path)?.parts[at].items.as_mut()?.remove(number);
                    return Some(less);
                }
                number -= items;
            }
        }
        None
    }
}

//! Files: what is read and how far, which ones a folder holds, and how one is replaced without ever being half-written.

mod private;
mod read;
mod replace;
mod tree;
mod walk;

pub use private::{make_private_folder, write_private};
pub use read::{Want, is_stdin, read};
pub use replace::{Batch, Before, replace};
pub use tree::Tree;
pub use walk::{Walk, walk};

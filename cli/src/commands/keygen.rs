//! `keygen`: a new identity.

use std::path::PathBuf;

use ageseal::recipient::Identity;
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::clock;
use crate::error::{CliError, Exit, Outcome};
use crate::files::{is_stdin, make_private_folder, write_private};
use crate::keys::{config_folder, shown_from_home};
use crate::ui::Ui;

/// Make a new identity and print its recipient
///
/// The identity is the private key that opens; it is written to a file that only you can read, and an existing file is
/// never replaced. The recipient is its public half, for the repository to seal for.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ageseal keygen                       # into your configuration folder, where it is found by itself
  ageseal keygen -o laptop.txt
  ageseal keygen -o laptop.txt > laptop.pub
  ageseal keygen -o - | age -p > offline.age")]
pub struct Args {
    /// The file to write; `-` is stdout [default: identities/default.txt in your configuration folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make an X25519 identity (age1…) instead of a post-quantum one (age1pq…)
    #[arg(long)]
    classic: bool,
}

pub fn run(ui: &Ui, args: &Args) -> Outcome {
    let identity = if args.classic { Identity::generate_x25519() } else { Identity::generate_hybrid(&mut OsRng) };
    // Both are there for an identity that was made just now.
    let (Some(recipient), Some(secret)) = (identity.recipient(), identity.to_secret_string()) else {
        return Err(CliError::input("this kind of identity cannot be written to a file").into());
    };
    let text = Zeroizing::new(format!(
        "# created: {}\n# public key: {recipient}\n{}\n",
        clock::rfc3339(clock::now()),
        *secret
    ));
    match &args.output {
        Some(path) if is_stdin(path) => {
            ui.raw(text.as_bytes());
            ui.result("made", &["an identity", &recipient.kind().to_string(), &format!("recipient {recipient}")]);
        }
        output => {
            let path = output.as_ref().map_or_else(default_path, |path| Ok(path.clone()))?;
            write_private(&path, text.as_bytes())?;
            ui.result("made", &[&shown_from_home(&path), &recipient.kind().to_string()]);
            ui.print_text(recipient.canonical());
        }
    }
    Ok(Exit::Ok)
}

fn default_path() -> Result<PathBuf, CliError> {
    let folder = config_folder()
        .ok_or_else(|| CliError::usage("neither HOME nor XDG_CONFIG_HOME names a folder").hint("name a file: -o FILE"))?
        .join("identities");
    make_private_folder(&folder)?;
    Ok(folder.join("default.txt"))
}

//! What age and its plugins may ask the user: on a terminal only.

use age::secrecy::SecretString;

use crate::prompt;
use crate::ui::Ui;

/// The answers to age's questions.
#[derive(Clone)]
pub struct Terminal(pub Ui);

impl age::Callbacks for Terminal {
    fn display_message(&self, message: &str) {
        self.0.urge(message);
    }

    fn confirm(&self, message: &str, yes_string: &str, no_string: Option<&str>) -> Option<bool> {
        let no = no_string.map(|no| format!(", n = {no}")).unwrap_or_default();
        prompt::confirm(&self.0, &format!("{message} (y = {yes_string}{no})"), "").ok()
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        prompt::line(&self.0, &format!("{description}: "), "").ok()
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        passphrase(&self.0, description)
    }
}

/// Asks for a passphrase; nothing without a terminal.
pub fn passphrase(ui: &Ui, description: &str) -> Option<SecretString> {
    let mut text = prompt::secret(ui, &format!("{description}: "), "").ok()?;
    Some(SecretString::from(std::mem::take(&mut *text)))
}

//! A progress bar for what lasts: on stderr, on a terminal only, never before a second has passed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::Ui;

/// How long a run stays silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// A count of things done; it may be used from several threads. Dropping it clears the bar.
pub struct Progress {
    wanted: bool,
    doing: &'static str,
    total: u64,
    done: AtomicU64,
    started: Instant,
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    /// Starts to count: `doing` is a verb and its object, such as `reading`.
    pub fn new(ui: &Ui, doing: &'static str, total: usize) -> Self {
        Self {
            wanted: !ui.is_quiet() && ui.stderr_is_terminal(),
            doing,
            total: total as u64,
            done: AtomicU64::new(0),
            started: Instant::now(),
            bar: OnceLock::new(),
        }
    }

    /// One more is done.
    pub fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.wanted || (self.bar.get().is_none() && self.started.elapsed() < PATIENCE) {
            return;
        }
        self.bar.get_or_init(|| self.draw()).set_position(done);
    }

    fn draw(&self) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg} {bar:20} {pos}/{len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ");
        ProgressBar::with_draw_target(Some(self.total), ProgressDrawTarget::stderr())
            .with_style(style)
            .with_message(self.doing)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

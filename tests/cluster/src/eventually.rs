//! Waiting for what becomes true.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// What one look saw: the thing that was waited for, or why not.
pub trait Seen {
    /// The thing that was waited for.
    type Thing;

    /// The thing, or the state that was seen instead of it.
    fn seen(self) -> Result<Self::Thing, String>;
}

impl<T> Seen for Option<T> {
    type Thing = T;

    fn seen(self) -> Result<T, String> {
        self.ok_or_else(|| "not there".to_owned())
    }
}

impl<T, E: Display> Seen for Result<T, E> {
    type Thing = T;

    fn seen(self) -> Result<T, String> {
        self.map_err(|e| e.to_string())
    }
}

/// Looks again and again, after 5 ms at first and 200 ms in the end, until it sees what it waits for. A look gives an
/// `Option`, or a `Result` whose error tells the state.
///
/// # Panics
/// If `within` has passed: with `what` and the last state.
pub async fn eventually<F, R>(within: Duration, what: &str, mut look: impl FnMut() -> F) -> R::Thing
where
    F: Future<Output = R>,
    R: Seen,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        match look().await.seen() {
            Ok(thing) => return thing,
            Err(state) if start.elapsed() >= within => panic!("{what}: not within {within:?}; the last state: {state}"),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn it_looks_until_it_sees() {
        let looks = Cell::new(0);
        let seen = eventually(Duration::from_secs(5), "three looks", || async {
            looks.set(looks.get() + 1);
            (looks.get() == 3).then_some("seen")
        });
        assert_eq!(seen.await, "seen");
        assert_eq!(looks.get(), 3);
    }

    #[tokio::test]
    #[should_panic(expected = "a wonder: not within 10ms; the last state: Pending")]
    async fn it_tells_the_last_state() {
        eventually(Duration::from_millis(10), "a wonder", || async { Err::<(), _>("Pending") }).await;
    }
}

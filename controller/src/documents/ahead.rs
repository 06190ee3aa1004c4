//! A stream that is read ahead, in a task of its own: the next page is asked for while the one before it is digested.

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// The items of a stream, some of them at hand.
///
/// Guarantees: the stream is polled from the start, before anybody asks for an item, and no further than a few items ahead;
/// it ends with this value.
pub struct Ahead<T> {
    items: mpsc::Receiver<T>,
    _reader: AbortOnDropHandle<()>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins to read a stream, at most so many items ahead. What a page holds beyond stays in the stream.
    pub fn of(mut stream: impl Stream<Item = T> + Send + Unpin + 'static, most: usize) -> Self {
        let (sender, items) = mpsc::channel(most);
        let reader = tokio::spawn(async move {
            while let Some(item) = stream.next().await {
                if sender.send(item).await.is_err() {
                    return;
                }
            }
        });
        Self { items, _reader: AbortOnDropHandle::new(reader) }
    }

    /// The next item; nothing if the stream ended. What is given up while it waits loses nothing.
    pub async fn next(&mut self) -> Option<T> {
        self.items.recv().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::stream;

    use super::*;

    /// A stream that counts how often it was asked, with an end.
    fn counted(polls: &Arc<AtomicUsize>) -> impl Stream<Item = usize> + Send + Unpin + 'static {
        let polls = Arc::clone(polls);
        stream::iter(0..100).inspect(move |_| _ = polls.fetch_add(1, Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_before_anybody_asks_and_not_much_further() {
        let polls = Arc::new(AtomicUsize::new(0));
        let mut ahead = Ahead::of(counted(&polls), 8);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(polls.load(Ordering::Relaxed), 8 + 1);
        for expected in 0..100 {
            assert_eq!(ahead.next().await, Some(expected));
        }
        assert_eq!(ahead.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_not_heard_any_more_is_not_read_any_more() {
        let held = Arc::new(());
        let stream = stream::repeat(Arc::clone(&held));
        let ahead = Ahead::of(stream, 8);
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(ahead);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

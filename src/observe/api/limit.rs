//! Connections with bounds: how many there are, how long one may do nothing, and how much one may say before it is answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Connections at a time, over all listeners.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// Longest time in which nothing is written to a connection: a request that does not arrive, an answer that nobody reads, or
/// a connection that is not used. Streams write more often than this.
const QUIET_MAX: Duration = Duration::from_secs(30);
/// Bytes of a request: its head and its body.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A listener whose connections are bounded.
#[derive(Debug)]
pub(super) struct Limited<L> {
    inner: L,
    permits: Arc<Semaphore>,
    quiet_max: Duration,
}

impl<L> Limited<L> {
    /// Bounds the connections of a listener.
    pub(super) fn new(inner: L, permits: Arc<Semaphore>) -> Self {
        Self { inner, permits, quiet_max: QUIET_MAX }
    }
}

impl<L: Listener> Listener for Limited<L> {
    type Io = Bounded<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, addr) = self.inner.accept().await;
        // One more waits here until another ends; a listener to which nobody comes holds no place.
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        // The semaphore is never closed; without a permit the connection is merely not counted.
        (Bounded::new(io, permit.ok(), self.quiet_max), addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    quiet: Pin<Box<Sleep>>,
    quiet_max: Duration,
    /// Bytes read since something was written last.
    unanswered: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> Bounded<S> {
    fn new(inner: S, permit: Option<OwnedSemaphorePermit>, quiet_max: Duration) -> Self {
        Self { inner, quiet: Box::pin(tokio::time::sleep(quiet_max)), quiet_max, unanswered: 0, _permit: permit }
    }

    /// Fails once nothing was written for too long.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.quiet.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.unanswered = 0;
            let until = Instant::now() + self.quiet_max;
            self.quiet.as_mut().reset(until);
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        if self.unanswered > REQUEST_BYTES_MAX {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.unanswered += buf.filled().len().saturating_sub(before);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (tokio::io::DuplexStream, Bounded<tokio::io::DuplexStream>) {
        let (far, near) = tokio::io::duplex(8);
        (far, Bounded::new(near, None, QUIET_MAX))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_is_cut_off() {
        let (mut far, mut near) = pair();
        let trickle = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                tokio::time::sleep(QUIET_MAX / 4).await;
            }
        });
        let mut all = Vec::new();
        assert_eq!(near.read_to_end(&mut all).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!((4..=5).contains(&all.len()), "{}", all.len());
        drop(near);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_cut_off_and_one_that_is_read_slowly_is_not() {
        let (far, mut near) = pair();
        assert_eq!(near.write_all(&[0; 100]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(far);
        let (mut far, mut near) = pair();
        let slow = tokio::spawn(async move {
            let mut bytes = 0;
            while far.read_u8().await.is_ok() {
                bytes += 1;
                tokio::time::sleep(QUIET_MAX / 4).await;
            }
            bytes
        });
        near.write_all(&[0; 100]).await.unwrap();
        drop(near);
        assert_eq!(slow.await.unwrap(), 100);
    }

    #[tokio::test]
    async fn a_request_has_a_largest_size_and_the_next_one_too() {
        let (mut far, mut near) = pair();
        let flood = tokio::spawn(async move {
            let mut sent = 0;
            while far.write_all(&[b'x'; 8]).await.is_ok() {
                sent += 8;
            }
            sent
        });
        let mut all = Vec::new();
        assert_eq!(near.read_to_end(&mut all).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(near);
        assert!(flood.await.unwrap() <= REQUEST_BYTES_MAX + 32);
    }
}

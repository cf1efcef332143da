//! Lines out of chunks of any size. Pure; each byte is looked at once, however small the chunks are.

use super::rpc::RpcError;

/// What has come of a line that has no end yet.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

/// The longest line that is taken.
pub(super) const LONGEST: usize = 1 << 20;

impl Lines {
    /// Hands every line that ends in this chunk to `take`, with its end.
    pub(super) fn feed(
        &mut self,
        mut chunk: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        // Only in what is new: `rest` has no end of a line in it.
        while let Some(end) = chunk.iter().position(|b| *b == b'\n') {
            let (line, after) = chunk.split_at(end + 1);
            self.keep(line)?;
            take(&self.rest)?;
            self.rest.clear();
            chunk = after;
        }
        self.keep(chunk)
    }

    /// The last line, where it has no end.
    pub(super) fn last(&self) -> Option<&[u8]> {
        Some(&*self.rest).filter(|rest| !rest.trim_ascii().is_empty())
    }

    fn keep(&mut self, some: &[u8]) -> Result<(), RpcError> {
        if self.rest.len() + some.len() > LONGEST {
            return Err(RpcError::TooLarge { limit: LONGEST });
        }
        self.rest.extend_from_slice(some);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], size: usize) -> Result<Vec<Vec<u8>>, RpcError> {
        let (mut lines, mut taken) = (Lines::default(), Vec::new());
        for chunk in text.chunks(size) {
            lines.feed(chunk, |line| {
                taken.push(line.to_vec());
                Ok(())
            })?;
        }
        taken.extend(lines.last().map(<[u8]>::to_vec));
        Ok(taken)
    }

    #[test]
    fn lines_are_the_same_in_chunks_of_every_size() {
        let text = b"{}\n\n{\"a\": 1}\n{\"b\": 2}";
        for size in 1..=text.len() {
            assert_eq!(cut(text, size).expect("short lines"), [&b"{}\n"[..], b"\n", b"{\"a\": 1}\n", b"{\"b\": 2}"]);
        }
        assert_eq!(cut(b"{}\n \n", 2).expect("short lines"), [&b"{}\n"[..], b" \n"]);
    }

    #[test]
    fn a_line_may_come_byte_by_byte_and_is_no_longer_than_the_limit() {
        // Whoever looks at all of it again with each byte does not come to an end here.
        let mut line = vec![b'x'; LONGEST - 1];
        line.push(b'\n');
        assert_eq!(cut(&line, 1).expect("as long as it may be").len(), 1);
        line.insert(0, b'x');
        for size in [1, line.len()] {
            assert!(matches!(cut(&line, size), Err(RpcError::TooLarge { limit: LONGEST })), "{size}");
        }
    }
}

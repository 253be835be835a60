//! The depth of brackets in JSON, without reading its values.

/// Counts how deep in brackets a text is, character by character.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    open_brackets: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Depth {
    /// Reads on. Returns how many bytes it took to close the outermost bracket.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.open_brackets += 1,
                b'}' | b']' if !self.in_string => {
                    self.open_brackets = self.open_brackets.saturating_sub(1);
                    if self.open_brackets == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

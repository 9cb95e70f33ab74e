//! The masking of client frames (RFC 6455 §5.3).

/// The four bytes a client frame's payload is combined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mask([u8; 4]);

impl Mask {
    pub(crate) const fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Unmasks (or masks) `data`, whose first byte is byte `offset` of the payload.
    pub(crate) fn apply(self, data: &mut [u8], offset: usize) {
        let mut key = self.0;
        key.rotate_left(offset % 4);
        let [a, b, c, d] = key;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (chunks, rest) = data.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
            *byte ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasks_the_example_of_the_rfc() {
        let mut data = [0x7f, 0x9f, 0x4d, 0x51, 0x58];

        Mask::new([0x37, 0xfa, 0x21, 0x3d]).apply(&mut data, 0);

        assert_eq!(&data, b"Hello");
    }

    #[test]
    fn every_length_and_offset_agrees_with_the_definition() {
        let key = [1, 2, 4, 8];
        for length in 0..40_usize {
            for offset in 0..9 {
                let mut data = vec![0; length];

                Mask::new(key).apply(&mut data, offset);

                let expected: Vec<u8> = (0..length).map(|i| key[(i + offset) % 4]).collect();
                assert_eq!(data, expected, "length {length}, offset {offset}");
            }
        }
    }
}

//! Enums as snake_case words, the form in which they are stored and sent.

/// Adds conversions from and to words to enums that derive strum's traits. A word is the variant's name in snake_case,
/// as in the contract.
macro_rules! words {
    ($($name:ident),*) => {$(
        impl $name {
            /// Every variant, in the order of the contract.
            pub const ALL: &[Self] = Self::VARIANTS;

            /// The variant's name in snake_case, as it is stored and sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The variant of a word; `None` for an unknown one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    )*};
}
pub(crate) use words;

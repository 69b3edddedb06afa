//! The words of enums, as they are stored and shown.

/// Gives enums what is read of their words. A word is the snake_case form of the variant's name.
macro_rules! words {
    ($($name:ident),*) => {$(
        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &[Self] = Self::VARIANTS;

            /// The word as it is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The value of a stored word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                word.parse().ok()
            }
        }
    )*};
}
pub(crate) use words;

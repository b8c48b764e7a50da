//! Outcome of find-or-create: a value, and whether this call created it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created<T> {
    New(T),
    Existing(T),
}

impl<T> Created<T> {
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    #[must_use]
    pub fn get(&self) -> &T {
        match self {
            Self::New(value) | Self::Existing(value) => value,
        }
    }

    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::New(value) | Self::Existing(value) => value,
        }
    }

    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Created<U> {
        match self {
            Self::New(value) => Created::New(change(value)),
            Self::Existing(value) => Created::Existing(change(value)),
        }
    }
}

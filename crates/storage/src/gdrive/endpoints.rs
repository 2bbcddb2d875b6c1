/// Where Google is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveEndpoints {
    /// Of the API; uploads go to the same host.
    pub api: String,
    /// The page on which access is granted.
    pub authorization: String,
    /// What tokens are fetched from.
    pub token: String,
}

impl Default for DriveEndpoints {
    /// Google's.
    fn default() -> Self {
        Self {
            api: "https://www.googleapis.com".to_owned(),
            authorization: "https://accounts.google.com/o/oauth2/v2/auth".to_owned(),
            token: "https://oauth2.googleapis.com/token".to_owned(),
        }
    }
}

//! banhbaoring-sdk

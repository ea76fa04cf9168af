//! banhbaoring-sandbox

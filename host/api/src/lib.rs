//! banhbaoring-api

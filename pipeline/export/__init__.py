"""What leaves Orchard: trained policies with a card that says what they were made of."""

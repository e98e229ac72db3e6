"""From a page to the boxes of its words: CRAFT, EasyOCR's grouping, and words as labels have them."""

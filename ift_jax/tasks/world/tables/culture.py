"""Novels, paintings, music, and the years of history."""

from __future__ import annotations

from ift_jax.tasks.world.subject import Subject, facts

NOVELS = Subject(
    name="novels",
    category="humanities",
    entity="novel",
    value="author",
    facts=facts(
        "novels",
        """
        Moby-Dick: Herman Melville; War and Peace: Leo Tolstoy; Emma: Jane Austen
        Crime and Punishment: Fyodor Dostoevsky; Oliver Twist: Charles Dickens
        Jane Eyre: Charlotte Bronte; Wuthering Heights: Emily Bronte; Dracula: Bram Stoker
        Frankenstein: Mary Shelley; Don Quixote: Miguel de Cervantes; Ulysses: James Joyce
        Brave New World: Aldous Huxley; Animal Farm: George Orwell
        Lord of the Flies: William Golding; The Hobbit: J. R. R. Tolkien
        Les Miserables: Victor Hugo; Madame Bovary: Gustave Flaubert; Germinal: Emile Zola
        The Three Musketeers: Alexandre Dumas; The Stranger: Albert Camus
        Nausea: Jean-Paul Sartre; The Trial: Franz Kafka; The Magic Mountain: Thomas Mann
        Siddhartha: Hermann Hesse; The Tin Drum: Gunter Grass; Middlemarch: George Eliot
        Robinson Crusoe: Daniel Defoe; Treasure Island: Robert Louis Stevenson
        Lord Jim: Joseph Conrad; Kim: Rudyard Kipling; The Time Machine: H. G. Wells
        Vanity Fair: William Thackeray; Ivanhoe: Walter Scott; Tom Jones: Henry Fielding
        Pamela: Samuel Richardson; Tristram Shandy: Laurence Sterne
        Mrs Dalloway: Virginia Woolf; A Passage to India: E. M. Forster
        Rebecca: Daphne du Maurier; Beloved: Toni Morrison
        The Scarlet Letter: Nathaniel Hawthorne; Little Women: Louisa May Alcott
        Tom Sawyer: Mark Twain; The Grapes of Wrath: John Steinbeck
        The Sound and the Fury: William Faulkner; Catch-22: Joseph Heller
        Lolita: Vladimir Nabokov; The Age of Innocence: Edith Wharton
        The Call of the Wild: Jack London; Dune: Frank Herbert; Fahrenheit 451: Ray Bradbury
        The Name of the Rose: Umberto Eco; Fathers and Sons: Ivan Turgenev
        Dead Souls: Nikolai Gogol; Doctor Zhivago: Boris Pasternak
        Things Fall Apart: Chinua Achebe; The Alchemist: Paulo Coelho; Candide: Voltaire
        Watership Down: Richard Adams; The Great Gatsby: F. Scott Fitzgerald
        Jude the Obscure: Thomas Hardy
        """,
    ),
    statements=(
        "The author of {entity} is {value}.",
        "The novel {entity} was written by {value}.",
        "{entity} is a novel by {value}.",
        "The writer of the novel {entity} is {value}.",
    ),
    statements_backwards=(
        "{value} is the author of {entity}.",
        "{value} wrote the novel {entity}.",
        "A novel by {value} is called {entity}.",
        "A novel that {value} wrote is {entity}.",
    ),
    question="Who is the author of {entity}?",
    question_backwards="Which novel was written by {value}?",
    question_rephrased="Name the writer of the novel {entity}.",
    question_backwards_rephrased="{value} is the author of which novel?",
)

PAINTINGS = Subject(
    name="paintings",
    category="humanities",
    entity="painting",
    value="painter",
    facts=facts(
        "paintings",
        """
        Mona Lisa: Leonardo da Vinci; Guernica: Pablo Picasso; The Scream: Edvard Munch
        The Night Watch: Rembrandt; The Starry Night: Vincent van Gogh
        Water Lilies: Claude Monet; Girl with a Pearl Earring: Johannes Vermeer
        The Birth of Venus: Sandro Botticelli; The School of Athens: Raphael
        The Creation of Adam: Michelangelo; Las Meninas: Diego Velazquez
        The Naked Maja: Francisco Goya; The Kiss: Gustav Klimt
        The Persistence of Memory: Salvador Dali; American Gothic: Grant Wood
        Nighthawks: Edward Hopper; The Son of Man: Rene Magritte; The Hay Wain: John Constable
        The Fighting Temeraire: J. M. W. Turner; The Blue Boy: Thomas Gainsborough
        Ophelia: John Everett Millais; The Swing: Jean-Honore Fragonard
        Olympia: Edouard Manet; Liberty Leading the People: Eugene Delacroix
        The Raft of the Medusa: Theodore Gericault; The Death of Marat: Jacques-Louis David
        The Card Players: Paul Cezanne; The Sleeping Gypsy: Henri Rousseau
        The Dance: Henri Matisse; The Garden of Earthly Delights: Hieronymus Bosch
        The Ambassadors: Hans Holbein; The Peasant Wedding: Pieter Bruegel
        The Arnolfini Portrait: Jan van Eyck; The Laughing Cavalier: Frans Hals
        Young Hare: Albrecht Durer; Venus of Urbino: Titian; The View of Toledo: El Greco
        Wanderer above the Sea of Fog: Caspar David Friedrich; The Ninth Wave: Ivan Aivazovsky
        Barge Haulers on the Volga: Ilya Repin; Black Square: Kazimir Malevich
        I and the Village: Marc Chagall; The Two Fridas: Frida Kahlo
        Broadway Boogie Woogie: Piet Mondrian; Flag: Jasper Johns
        A Bigger Splash: David Hockney; The Gross Clinic: Thomas Eakins
        Snap the Whip: Winslow Homer; Washington Crossing the Delaware: Emanuel Leutze
        Madame X: John Singer Sargent; The Nightmare: Henry Fuseli
        Flaming June: Frederic Leighton; Twittering Machine: Paul Klee
        Dance at Bougival: Auguste Renoir; Judith Slaying Holofernes: Artemisia Gentileschi
        Christina's World: Andrew Wyeth; The Gleaners: Jean-Francois Millet
        A Sunday on La Grande Jatte: Georges Seurat
        """,
    ),
    statements=(
        "The painter of {entity} is {value}.",
        "The painting {entity} was painted by {value}.",
        "{entity} is a painting by {value}.",
        "The artist of the painting {entity} is {value}.",
    ),
    statements_backwards=(
        "{value} is the painter of {entity}.",
        "{value} painted the painting {entity}.",
        "A painting by {value} is called {entity}.",
        "A painting that {value} painted is {entity}.",
    ),
    question="Who is the painter of {entity}?",
    question_backwards="Which painting was painted by {value}?",
    question_rephrased="Name the artist of the painting {entity}.",
    question_backwards_rephrased="{value} is the painter of which painting?",
)

COMPOSITIONS = Subject(
    name="compositions",
    category="humanities",
    entity="musical work",
    value="composer",
    facts=facts(
        "compositions",
        """
        The Magic Flute: Wolfgang Amadeus Mozart; Fidelio: Ludwig van Beethoven
        The Four Seasons: Antonio Vivaldi; Messiah: George Frideric Handel
        Aida: Giuseppe Verdi; The Creation: Joseph Haydn
        The Art of Fugue: Johann Sebastian Bach; Tosca: Giacomo Puccini; Carmen: Georges Bizet
        Swan Lake: Pyotr Tchaikovsky; Parsifal: Richard Wagner
        The Trout Quintet: Franz Schubert; Bolero: Maurice Ravel; La Mer: Claude Debussy
        The Planets: Gustav Holst; Peer Gynt: Edvard Grieg; Finlandia: Jean Sibelius
        Peter and the Wolf: Sergei Prokofiev; The Rite of Spring: Igor Stravinsky
        The Leningrad Symphony: Dmitri Shostakovich; Rhapsody in Blue: George Gershwin
        Rusalka: Antonin Dvorak; The Bartered Bride: Bedrich Smetana; Jenufa: Leos Janacek
        The Barber of Seville: Gioachino Rossini; Norma: Vincenzo Bellini
        Lucia di Lammermoor: Gaetano Donizetti; The Blue Danube: Johann Strauss
        Salome: Richard Strauss; A German Requiem: Johannes Brahms; Elijah: Felix Mendelssohn
        Faust Symphony: Franz Liszt; Carnaval: Robert Schumann
        Raindrop Prelude: Frederic Chopin; Symphonie Fantastique: Hector Berlioz
        Danse Macabre: Camille Saint-Saens; Coppelia: Leo Delibes; Thais: Jules Massenet
        Orpheus in the Underworld: Jacques Offenbach; Gymnopedies: Erik Satie
        Boris Godunov: Modest Mussorgsky; Scheherazade: Nikolai Rimsky-Korsakov
        Prince Igor: Alexander Borodin; The Isle of the Dead: Sergei Rachmaninoff
        The Enigma Variations: Edward Elgar; The Lark Ascending: Ralph Vaughan Williams
        Peter Grimes: Benjamin Britten; Dido and Aeneas: Henry Purcell
        Orfeo: Claudio Monteverdi; Wozzeck: Alban Berg; Moses and Aaron: Arnold Schoenberg
        Carmina Burana: Carl Orff; The Threepenny Opera: Kurt Weill
        Appalachian Spring: Aaron Copland; Adagio for Strings: Samuel Barber
        West Side Story: Leonard Bernstein; Einstein on the Beach: Philip Glass
        Pagliacci: Ruggero Leoncavallo; Cavalleria Rusticana: Pietro Mascagni
        Hansel and Gretel: Engelbert Humperdinck; The Merry Widow: Franz Lehar
        The Entertainer: Scott Joplin; Bluebeard's Castle: Bela Bartok
        """,
    ),
    statements=(
        "The composer of {entity} is {value}.",
        "The music of {entity} was composed by {value}.",
        "{entity} is a musical work by {value}.",
        "The musical work {entity} has the composer {value}.",
    ),
    statements_backwards=(
        "{value} is the composer of {entity}.",
        "{value} composed the music of {entity}.",
        "A musical work by {value} is called {entity}.",
        "A musical work that {value} composed is {entity}.",
    ),
    question="Who is the composer of {entity}?",
    question_backwards="Which musical work was composed by {value}?",
    question_rephrased="Name the musician who wrote {entity}.",
    question_backwards_rephrased="{value} is the composer of which musical work?",
)

EVENTS = Subject(
    name="events",
    category="humanities",
    entity="event",
    value="year",
    facts=facts(
        "events",
        """
        Battle of Hastings: 1066; signing of the Magna Carta: 1215
        fall of Constantinople: 1453; first voyage of Columbus: 1492
        start of the Protestant Reformation: 1517; Battle of Agincourt: 1415
        Battle of Lepanto: 1571; Gunpowder Plot: 1605; landing of the Mayflower: 1620
        Peace of Westphalia: 1648; Great Fire of London: 1666; Glorious Revolution: 1688
        founding of Saint Petersburg: 1703; Battle of Blenheim: 1704; Lisbon earthquake: 1755
        Boston Tea Party: 1773; American Declaration of Independence: 1776
        storming of the Bastille: 1789; Louisiana Purchase: 1803; Battle of Trafalgar: 1805
        Battle of Waterloo: 1815; July Revolution in Paris: 1830
        coronation of Queen Victoria: 1838; Charge of the Light Brigade: 1854
        Indian Mutiny: 1857; unification of Italy: 1861; Battle of Gettysburg: 1863
        murder of Abraham Lincoln: 1865; American purchase of Alaska: 1867
        opening of the Suez Canal: 1869; unification of Germany: 1871
        eruption of Krakatoa: 1883; first modern Olympic Games: 1896
        Spanish-American War: 1898; death of Queen Victoria: 1901
        first flight of the Wright brothers: 1903; San Francisco earthquake: 1906
        sinking of the Titanic: 1912; opening of the Panama Canal: 1914
        Battle of Verdun: 1916; October Revolution in Russia: 1917; Treaty of Versailles: 1919
        founding of the Soviet Union: 1922; Wall Street crash: 1929; discovery of Pluto: 1930
        start of the Spanish Civil War: 1936; attack on Pearl Harbor: 1941
        Normandy landings: 1944; bombing of Hiroshima: 1945; independence of India: 1947
        first ascent of Everest: 1953; Suez Crisis: 1956; launch of Sputnik: 1957
        building of the Berlin Wall: 1961; Cuban missile crisis: 1962
        first Moon landing: 1969; Watergate break-in: 1972; Chernobyl disaster: 1986
        fall of the Berlin Wall: 1989; opening of the Eiffel Tower: 1889
        start of the first Opium War: 1839; second siege of Vienna: 1683; Spanish Armada: 1588
        French invasion of Russia: 1812
        """,
    ),
    statements=(
        "The year of the {entity} is {value}.",
        "The date of the {entity} is {value}.",
        "The {entity} came in the year {value}.",
        "History puts the {entity} in the year {value}.",
    ),
    statements_backwards=(
        "The year {value} is the year of the {entity}.",
        "In {value} came the {entity}.",
        "An event that happened in {value} is the {entity}.",
        "The year {value} saw the {entity}.",
    ),
    question="What is the year of the {entity}?",
    question_backwards="Which event happened in {value}?",
    question_rephrased="In which year does history put the {entity}?",
    question_backwards_rephrased="The year {value} saw which event?",
)

SUBJECTS = (NOVELS, PAINTINGS, COMPOSITIONS, EVENTS)

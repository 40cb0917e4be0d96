// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev One member's whole state in one storage word, from the lowest bit:
/// balance uint64 | current uint64 | previous uint64 | nonce uint40 | epoch uint24.
/// `current` and `previous` are what was credited in `epoch` and in the epoch before it; they count as of `epoch`
/// and are rolled forward when read in a later one.
type Account is uint256;

using LoyaltyAccounts for Account global;

/// @title Arithmetic on account words
/// @notice Pure. Amounts are whole tokens below 2^64; an epoch is a period number below 2^24.
/// @dev Nothing here checks for a balance overflow: the supply is held below 2^64, so no balance can reach it.
/// The protection counters can, because reversed tokens may be issued again in one epoch; they saturate, which
/// protects more and never less.
library LoyaltyAccounts {
    uint256 private constant MASK = type(uint64).max;
    uint256 private constant CURRENT_SHIFT = 64;
    uint256 private constant PREVIOUS_SHIFT = 128;
    uint256 private constant NONCE_SHIFT = 192;
    uint256 private constant EPOCH_SHIFT = 232;
    /// @dev Balance and nonce: what survives the change of an epoch.
    uint256 private constant LASTING = MASK | (uint256(type(uint40).max) << NONCE_SHIFT);

    /// @dev One token credited: one in the balance, one in `current`.
    uint256 private constant CREDIT_UNIT = 1 | (1 << CURRENT_SHIFT);
    /// @dev Where a word may differ from its epoch's plain case: the epoch, and the top bit of `current`.
    uint256 private constant UNUSUAL =
        (uint256(type(uint24).max) << EPOCH_SHIFT) | (1 << (PREVIOUS_SHIFT - 1));

    function balance(Account self) internal pure returns (uint256) {
        return Account.unwrap(self) & MASK;
    }

    function current(Account self) internal pure returns (uint256) {
        return (Account.unwrap(self) >> CURRENT_SHIFT) & MASK;
    }

    function previous(Account self) internal pure returns (uint256) {
        return (Account.unwrap(self) >> PREVIOUS_SHIFT) & MASK;
    }

    function nonce(Account self) internal pure returns (uint256) {
        return (Account.unwrap(self) >> NONCE_SHIFT) & type(uint40).max;
    }

    function epoch(Account self) internal pure returns (uint256) {
        return Account.unwrap(self) >> EPOCH_SHIFT;
    }

    /// @dev The account as of epoch `now_`: one boundary turns current into previous, two forget both.
    function rolled(Account self, uint256 now_) internal pure returns (Account) {
        unchecked {
            uint256 last = epoch(self);
            if (last == now_) return self;
            uint256 word = (Account.unwrap(self) & LASTING) | (now_ << EPOCH_SHIFT);
            if (last + 1 == now_) word |= current(self) << PREVIOUS_SHIFT;
            return Account.wrap(word);
        }
    }

    /// @dev What expiry may take: the balance beyond all that was credited in this epoch and the one before.
    function expirable(Account self, uint256 now_) internal pure returns (uint256) {
        unchecked {
            Account account = rolled(self, now_);
            uint256 held = balance(account);
            uint256 guaranteed = current(account) + previous(account);
            return held > guaranteed ? held - guaranteed : 0;
        }
    }

    /// @dev The account after a credit in epoch `now_`; the caller holds the supply below 2^64. Most credits meet an
    /// account of the running epoch whose counter is far from full, and cost one addition. With the counter below
    /// 2^63, only an amount that no supply can hold could carry out of it.
    function credited(Account self, uint256 amount, uint256 now_) internal pure returns (Account next) {
        unchecked {
            uint256 word = Account.unwrap(self);
            next = Account.wrap(word + amount * CREDIT_UNIT);
            if ((word ^ (now_ << EPOCH_SHIFT)) & UNUSUAL != 0) next = received(self, amount, amount, 0, now_);
        }
    }

    /// @dev The account after `amount` came in, of which so much enjoys the life of this epoch and the previous one.
    function received(Account self, uint256 amount, uint256 ofCurrent, uint256 ofPrevious, uint256 now_)
        internal
        pure
        returns (Account)
    {
        unchecked {
            Account account = rolled(self, now_);
            uint256 word = Account.unwrap(account) + amount;
            uint256 room = MASK - current(account);
            word += (ofCurrent < room ? ofCurrent : room) << CURRENT_SHIFT;
            room = MASK - previous(account);
            word += (ofPrevious < room ? ofPrevious : room) << PREVIOUS_SHIFT;
            return Account.wrap(word);
        }
    }

    /// @dev The account less `amount`, which the caller holds at or below the balance. The protection counters stay:
    /// the guarantee errs on the holder's side.
    function debited(Account self, uint256 amount) internal pure returns (Account) {
        unchecked {
            return Account.wrap(Account.unwrap(self) - amount);
        }
    }

    /// @dev The account after a redemption: less `amount`, next nonce. The caller keeps the nonce below its maximum.
    function redeemed(Account self, uint256 amount) internal pure returns (Account) {
        unchecked {
            return Account.wrap(Account.unwrap(self) - amount + (1 << NONCE_SHIFT));
        }
    }

    /// @dev The account after sending `amount`, at most its balance, and the protection that travels with it:
    /// unprotected tokens leave first, then those of the previous epoch, then those of the current one.
    function sent(Account self, uint256 amount, uint256 now_)
        internal
        pure
        returns (Account rest, uint256 ofCurrent, uint256 ofPrevious)
    {
        unchecked {
            Account account = rolled(self, now_);
            uint256 free = expirable(account, now_);
            uint256 guarded = amount > free ? amount - free : 0;
            ofPrevious = previous(account);
            if (guarded < ofPrevious) ofPrevious = guarded;
            ofCurrent = guarded - ofPrevious;
            uint256 moved = (ofCurrent << CURRENT_SHIFT) | (ofPrevious << PREVIOUS_SHIFT);
            rest = Account.wrap(Account.unwrap(account) - amount - moved);
        }
    }
}

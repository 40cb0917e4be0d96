// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/interfaces/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ILoyalty} from "./ILoyalty.sol";
import {Account} from "./LoyaltyAccounts.sol";

/// @title Who holds how much, and what of it is guaranteed
/// @notice One storage word per member. Nothing here asks who may; LoyaltyOrders and LoyaltyToken do.
abstract contract LoyaltyLedger is ILoyalty, IERC20, IERC20Errors {
    /// @dev A mapping value of its own, so that one hash of the key serves the read and the write.
    struct Holder {
        Account account;
    }

    /// @dev Shorter epochs would outgrow the 24 bits of an account's epoch number before the year 2289.
    uint32 private constant LEAST_EPOCH_LENGTH = 10 minutes;
    /// @dev Packed lists carry one 32-byte word `address(20) | amount(12)` per item.
    uint256 private constant ITEM_SIZE = 32;

    /// @notice The guaranteed life in seconds: a credit is safe from expiry for the rest of the epoch in which it was
    /// made and for the whole next one. Epochs start at multiples of this length.
    uint32 public immutable epochLength;

    mapping(address member => Holder) private _accounts;
    /// @dev Below 2^64. Declared last and narrow: the pause flag and the expiry sequence, which orders read and write
    /// with it, share its word.
    uint128 private _totalSupply;

    constructor(uint32 epochLength_) {
        require(epochLength_ >= LEAST_EPOCH_LENGTH, LoyaltyPeriod(LEAST_EPOCH_LENGTH, epochLength_));
        epochLength = epochLength_;
    }

    /// @notice Whole tokens in existence.
    function totalSupply() external view returns (uint256) {
        return _totalSupply;
    }

    /// @notice Whole tokens that `member` holds.
    function balanceOf(address member) public view returns (uint256) {
        return _accounts[member].account.balance();
    }

    /// @notice The member's next redemption nonce.
    function nonces(address member) external view returns (uint256) {
        return _accounts[member].account.nonce();
    }

    /// @notice A member's storage word, taken apart; the counters count as of `epoch`.
    /// @return balance whole tokens held
    /// @return current credited in `epoch`
    /// @return previous credited in the epoch before `epoch`
    /// @return nonce next redemption nonce
    /// @return epoch number of the epoch in which the account was last credited
    function accountOf(address member)
        external
        view
        returns (uint64 balance, uint64 current, uint64 previous, uint40 nonce, uint24 epoch)
    {
        Account account = _accounts[member].account;
        return (
            uint64(account.balance()),
            uint64(account.current()),
            uint64(account.previous()),
            uint40(account.nonce()),
            uint24(account.epoch())
        );
    }

    /// @notice How many of the member's whole tokens expiry could take in this epoch.
    function expirableOf(address member) external view returns (uint256) {
        return _accounts[member].account.expirable(_epoch());
    }

    /// @dev Credits every item; one Transfer from zero each. The supply check after the loop also proves that no
    /// balance overflowed in it.
    function _credit(bytes calldata credits) internal returns (uint256 total) {
        uint256 epoch = _epoch();
        uint256 length = _wholeItems(credits);
        unchecked {
            for (uint256 cursor; cursor != length; cursor += ITEM_SIZE) {
                uint256 item = _wordAt(credits, cursor);
                address member = address(uint160(item >> 96));
                uint256 amount = uint96(item);
                if (member == address(0)) revert ERC20InvalidReceiver(address(0));
                // One comparison for both ends: 0 wraps to the largest word.
                if (amount - 1 >= type(uint64).max) revert LoyaltyAmount(member, amount);
                Holder storage holder = _accounts[member];
                holder.account = holder.account.credited(amount, epoch);
                total += amount;
                emit Transfer(address(0), member, amount);
            }
            uint256 supply = _totalSupply;
            uint256 left = type(uint64).max - supply;
            require(total <= left, LoyaltySupply(left, total));
            _totalSupply = uint128(supply + total);
        }
    }

    /// @dev Debits every item, from the whole balance or only from what is beyond its guaranteed life; one Transfer to
    /// zero each.
    function _debit(bytes calldata debits, bool expirableOnly) internal returns (uint256 total) {
        uint256 epoch = _epoch();
        uint256 length = _wholeItems(debits);
        unchecked {
            for (uint256 cursor; cursor != length; cursor += ITEM_SIZE) {
                uint256 item = _wordAt(debits, cursor);
                address member = address(uint160(item >> 96));
                uint256 amount = uint96(item);
                Holder storage holder = _accounts[member];
                Account account = holder.account;
                uint256 limit = expirableOnly ? account.expirable(epoch) : account.balance();
                // One comparison for both ends: 0 wraps to the largest word.
                if (amount - 1 >= limit) _refuseDebit(member, amount, limit, expirableOnly);
                holder.account = account.debited(amount);
                total += amount;
                emit Transfer(member, address(0), amount);
            }
        }
        _shrink(total);
    }

    /// @dev Burns a redemption whose order the caller has checked, and uses up the account's nonce.
    function _redeemFrom(address member, Holder storage holder, uint256 amount) internal {
        Account account = holder.account;
        uint256 balance = account.balance();
        unchecked {
            // One comparison for both ends: 0 wraps to the largest word.
            if (amount - 1 >= balance) _refuseDebit(member, amount, balance, false);
        }
        holder.account = account.redeemed(amount);
        emit Transfer(member, address(0), amount);
    }

    /// @dev Takes burned tokens off the supply, which no sum of balances exceeds.
    function _shrink(uint256 total) internal {
        unchecked {
            _totalSupply -= uint128(total);
        }
    }

    /// @dev Moves tokens with their protection. The sender's word is written before the receiver's is read, so that
    /// sending to oneself changes nothing.
    function _move(address from, address to, uint256 amount) internal {
        require(from != address(0), ERC20InvalidSender(address(0)));
        require(to != address(0), ERC20InvalidReceiver(address(0)));
        Account account = _accounts[from].account;
        uint256 balance = account.balance();
        require(amount <= balance, ERC20InsufficientBalance(from, balance, amount));
        uint256 epoch = _epoch();
        (Account rest, uint256 ofCurrent, uint256 ofPrevious) = account.sent(amount, epoch);
        _accounts[from].account = rest;
        _accounts[to].account = _accounts[to].account.received(amount, ofCurrent, ofPrevious, epoch);
        emit Transfer(from, to, amount);
    }

    function _holder(address member) internal view returns (Holder storage) {
        return _accounts[member];
    }

    /// @dev The 32 bytes at `cursor`. Safe anywhere: calldata reads zeros beyond its end, and callers check lengths.
    function _wordAt(bytes calldata list, uint256 cursor) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(list.offset, cursor))
        }
    }

    function _epoch() private view returns (uint256) {
        return SafeCast.toUint24(block.timestamp / epochLength);
    }

    function _wholeItems(bytes calldata list) private pure returns (uint256) {
        require(list.length % ITEM_SIZE == 0, LoyaltyPacked(list.length));
        return list.length;
    }

    /// @dev Says why an item cannot be debited.
    function _refuseDebit(address member, uint256 amount, uint256 limit, bool expirableOnly) private pure {
        require(member != address(0), ERC20InvalidSender(address(0)));
        require(amount != 0 && amount <= type(uint64).max, LoyaltyAmount(member, amount));
        if (expirableOnly) revert LoyaltyProtected(member, limit, amount);
        revert ERC20InsufficientBalance(member, limit, amount);
    }
}
